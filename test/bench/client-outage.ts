import { setTimeout as sleep } from 'node:timers/promises';
import { CACHES, type Keeping } from './client-caches.ts';
import { startSecretsManager, type VaultMode } from '../fakes/secrets-manager-server.ts';

/**
 * A process of its own, with a cache's name and what the vault does: has a value, lets it expire while the vault is out,
 * asks in bursts until shortly before the limit, and prints what came of it. A process, since one peer ends its own.
 */
const KEEPING: Keeping = { ttlSeconds: 1, staleLimitSeconds: 6 };
const ROUND_MS = 20;
const BURST = 100;
const [name, mode] = process.argv.slice(2) as [keyof typeof CACHES, VaultMode];

/** What the bursts have seen. */
export interface Outage {
  readonly asked: number;
  readonly thrown: number;
  /** Not answered when the process ended. */
  readonly blocked: number;
  /** Of those that were answered; absent where none was. */
  readonly p99Ms?: number;
}

const server = await startSecretsManager('{"username":"u","password":"p"}');
const cache = CACHES[name](server.clientConfig, KEEPING);
await cache.get();
const limit = Date.now() + KEEPING.staleLimitSeconds * 1000 - 300;
server.be(mode);
await sleep(KEEPING.ttlSeconds * 1000 + 50);
const answered: number[] = [];
let asked = 0;
let thrown = 0;
const ask = async (): Promise<void> => {
  asked++;
  const began = performance.now();
  try {
    await cache.get();
    answered.push(performance.now() - began);
  } catch {
    thrown++;
  }
};
while (Date.now() < limit) {
  for (let at = 0; at < BURST; at++) void ask();
  await sleep(ROUND_MS);
}
const sorted = answered.sort((a, b) => a - b);
const p99Ms = sorted[Math.floor(sorted.length * 0.99)];
const blocked = asked - thrown - answered.length;
const outage: Outage = { asked, thrown, blocked, ...(p99Ms === undefined ? {} : { p99Ms }) };
process.stdout.write(JSON.stringify(outage), () => process.exit(0));

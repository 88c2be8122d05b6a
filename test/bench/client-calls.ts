import { setTimeout as sleep } from 'node:timers/promises';
import { CACHES } from './client-caches.ts';
import { startSecretsManager } from '../fakes/secrets-manager-server.ts';

/**
 * A process of its own, with a cache's name and a number of callers: prints how often the vault is asked when all ask at
 * once, without a value and with one that has expired. A process, since a peer's timers can't be stopped.
 */
const name = process.argv[2] as keyof typeof CACHES;
const callers = Number(process.argv[3]);

/** Calls of the vault. */
export interface Calls {
  readonly cold: number;
  readonly expired: number;
}

const server = await startSecretsManager('{"username":"u","password":"p"}');
const cache = CACHES[name](server.clientConfig, { ttlSeconds: 2, staleLimitSeconds: 60 });
const burst = async (): Promise<number> => {
  server.reset();
  await Promise.all(Array.from({ length: callers }, async () => cache.get()));
  return server.calls();
};
const cold = await burst();
await sleep(2_100);
const calls: Calls = { cold, expired: await burst() };
process.stdout.write(JSON.stringify(calls), () => process.exit(0));

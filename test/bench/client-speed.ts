import { createCredentialSource } from '../../client/src/create.ts';
import { secretsManagerVault } from '../../client/src/secrets-manager.ts';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CACHES, PEERS, SECRET, type Keeping } from './client-caches.ts';
import { median, ratio, type Figures } from './figures.ts';
import { startSecretsManager } from '../fakes/secrets-manager-server.ts';

const ROUNDS = 31;
const SYNC_GETS = 500_000;
const ASYNC_GETS = 50_000;
const PEER_GETS = 2_000;
const KEEPING: Keeping = { ttlSeconds: 600, staleLimitSeconds: 1_200 };

/**
 * A process of its own, since a peer's timers would keep it alive: prints, as figures, the time of a get from memory, in
 * turn with the others in each round, as ratios of medians.
 */
process.stdout.write(JSON.stringify(await speed()), () => process.exit(0));

async function speed(): Promise<Figures> {
  await using server = await startSecretsManager('{"username":"u","password":"p"}');
  const { clientConfig } = server;
  const vault = secretsManagerVault(new SecretsManagerClient(clientConfig));
  const limits = { lifetimeSeconds: KEEPING.ttlSeconds, staleLimitSeconds: KEEPING.staleLimitSeconds };
  await using source = await createCredentialSource({ secretId: SECRET, vault, ...limits });
  const map = new Map([[SECRET, source.current()]]);
  const caches = PEERS.map((name) => ({ name, cache: CACHES[name](clientConfig, KEEPING) }));
  for (const { cache } of caches) await cache.get();

  const times: Record<string, number[]> = {};
  const note = (name: string, ns: number): void => void (times[name] ??= []).push(ns);
  for (let round = 0; round < ROUNDS; round++) {
    note(
      'map',
      perSyncGet(() => map.get(SECRET)),
    );
    note(
      'source',
      perSyncGet(() => source.current()),
    );
    note('await map', await perGet(ASYNC_GETS, () => map.get(SECRET)));
    note('await source', await perGet(ASYNC_GETS, () => source.get()));
    for (const { name, cache } of caches) note(name, await perGet(PEER_GETS, cache.get));
  }
  const of = (name: string): number => median(times[name] ?? []);
  const detail = Object.keys(times).map((name) => `${name}: ${of(name).toFixed(1)} ns`);
  const peers = PEERS.map((name) => [
    `client get() and ${name}`,
    ratio(of(name) / of('await source'), '× faster than', name),
  ]);
  return {
    'client current()': ratio(of('source') / of('map'), '× of', 'Map.get', {
      goal: { is: 'at most', bound: 1.2 },
      detail,
    }),
    'client await get()': ratio(of('await source') / of('await map'), '× of', 'await Map.get', {
      goal: { is: 'at most', bound: 1.1 },
    }),
    ...Object.fromEntries(peers),
  };
}

/** Nanoseconds of one get of many. */
function perSyncGet(get: () => unknown): number {
  let there = 0;
  const began = process.hrtime.bigint();
  for (let at = 0; at < SYNC_GETS; at++) if (get() !== undefined) there++;
  return nanoseconds(began, there, SYNC_GETS);
}

async function perGet(gets: number, get: () => unknown): Promise<number> {
  let there = 0;
  const began = process.hrtime.bigint();
  for (let at = 0; at < gets; at++) if ((await get()) !== undefined) there++;
  return nanoseconds(began, there, gets);
}

function nanoseconds(began: bigint, there: number, asked: number): number {
  const taken = Number(process.hrtime.bigint() - began) / asked;
  if (there !== asked) throw new Error(`${there} of ${asked} gets gave a value`);
  return taken;
}

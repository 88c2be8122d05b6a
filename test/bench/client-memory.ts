import { createCredentialSources } from '../../client/src/create.ts';
import type { Vault } from '../../client/src/vault.ts';

/**
 * A process of its own, started with `--expose-gc` and the number of secrets that an agent has: prints the bytes that
 * each credential takes, its value and its answer to `get` included.
 */
const COUNT = 20_000;
const CURRENT = ['AWSCURRENT'] as const;
const collect = globalThis.gc;
if (collect === undefined) throw new Error('start it with --expose-gc');
const size = Number(process.argv[2]);

let made = 0;
/** Texts of their own, as a JSON parser makes them: a login with a password of 32 letters. */
const vault: Vault = {
  read: async () => {
    const id = String(made++).padStart(12, '0');
    const value = JSON.stringify({ username: 'orders_app_a', password: `${id}abcdefghijklmnopqrst` });
    const answer = JSON.stringify({ versionId: `8b3f1c9e-0000-4000-8000-${id}`, value });
    const parsed = JSON.parse(answer) as { versionId: string; value: string };
    return { ...parsed, stages: CURRENT, createdAt: 1_764_072_000_000 + made };
  },
};
const options = { vault, lifetimeSeconds: 900 };
const named = Array.from({ length: COUNT / size }, (_none, agent) =>
  Object.fromEntries(Array.from({ length: size }, (_same, at) => [`s${at}`, `agents/${agent}/secret-${at}`])),
);
// Names are the agent's own: parsed, so that no text is made while it is measured.
const agents = JSON.parse(JSON.stringify(named)) as typeof named;
const kept = await Promise.all(agents.slice(0, 1).map(opened));

await settled();
const before = process.memoryUsage().heapUsed;
for (const secrets of agents) kept.push(await opened(secrets));
await settled();
console.log(String((process.memoryUsage().heapUsed - before) / COUNT));
await Promise.all(kept.map((sources) => sources[Symbol.asyncDispose]()));

async function opened(secrets: Record<string, string>): ReturnType<typeof createCredentialSources> {
  const sources = await createCredentialSources(secrets, options);
  for (const source of Object.values(sources)) await source.get();
  return sources;
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    collect?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

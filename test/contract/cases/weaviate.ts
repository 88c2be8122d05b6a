import { weaviateProvider } from '../../../shared/providers/weaviate/provider.ts';
import { FakeWeaviate } from '../../fakes/weaviate.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

/** Weaviate's provider over a fake of its own. */
export function weaviateCase(): KeyFaults<ReturnType<typeof weaviateProvider.target>> {
  let fake: FakeWeaviate;
  let strangers = 0;
  return {
    provider: weaviateProvider,
    start: async () => {
      fake = await FakeWeaviate.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => `${fake.server.url}/v1`,
    target: () => ({ roles: ['searcher', 'indexer'] }),
    admin: () => ({ adminKey: fake.adminKey }),
    takes: async (value) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${fake.server.url}/v1/users/own-info`, { headers })).ok;
    },
    isTest: ({ path }) => path === '/v1/users/own-info',
    addExisting: ({ roles }) => {
      const key = fake.add(`made-by-hand-${++strangers}`);
      fake.assigned.set(key.id, [...roles]);
      return key;
    },
    addForeign: (_target, name = `made-by-hand-${++strangers}`) => {
      fake.add(name);
    },
  };
}

import { qdrantProvider } from '../../../shared/providers/qdrant/provider.ts';
import { FakeQdrant } from '../../fakes/qdrant.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

const API_KEY = 'qdrant-server-key-0123456789abcdefghij';

/** Tokens of a self-run Qdrant, over a fake of its own. */
export function qdrantCase(): KeyFaults<ReturnType<typeof qdrantProvider.target>> {
  let fake: FakeQdrant;
  return {
    provider: qdrantProvider,
    start: async () => {
      fake = await FakeQdrant.start({ apiKey: API_KEY });
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({
      rules: [
        { collection: 'documents', access: 'read' },
        { collection: 'memories', access: 'read-write' },
      ],
    }),
    admin: () => ({ apiKey: API_KEY }),
    takes: async (value) =>
      (await fetch(`${fake.server.url}/collections/documents/exists`, { headers: { 'api-key': value } })).ok,
    isTest: ({ path }) => path === '/collections/documents/exists',
    addForeign: (_target, name = 'made by hand') => {
      fake.addPoint(name);
    },
  };
}

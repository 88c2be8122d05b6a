import { qdrantStaticProvider } from '../../../shared/providers/qdrant-static/provider.ts';
import { FakeDeployedQdrant } from '../../fakes/qdrant.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

/** Static keys of a self-run Qdrant, over a fake of its own and of the hook that deploys them. */
export function qdrantStaticCase(): KeyFaults<ReturnType<typeof qdrantStaticProvider.target>> {
  let fake: FakeDeployedQdrant;
  return {
    provider: qdrantStaticProvider,
    start: async () => {
      fake = await FakeDeployedQdrant.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({ access: 'manage' }),
    admin: (url) => fake.hook.admin(url),
    takes: async (value) =>
      (await fetch(`${fake.server.url}/collections`, { headers: { 'api-key': value } })).ok,
    isTest: ({ path }) => path === '/collections',
    addForeign: (_target, name = 'made by hand') => {
      fake.hook.addForeign(name);
    },
    fill: () => {
      fake.hook.places = fake.keys.all.size;
      return () => {
        fake.hook.places = Infinity;
      };
    },
  };
}

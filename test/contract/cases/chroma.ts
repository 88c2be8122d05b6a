import { chromaProvider } from '../../../shared/providers/chroma/provider.ts';
import { FakeChroma } from '../../fakes/chroma.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

const COLLECTIONS = '/api/v2/tenants/default_tenant/databases/default_database/collections';

/** Tokens of a proxy in front of Chroma, over a fake of both and of the hook that deploys them. */
export function chromaCase(): KeyFaults<ReturnType<typeof chromaProvider.target>> {
  let fake: FakeChroma;
  return {
    provider: chromaProvider,
    start: async () => {
      fake = await FakeChroma.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({ access: 'read', tenant: 'default_tenant', database: 'default_database' }),
    admin: (url) => fake.hook.admin(url),
    takes: async (value) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${fake.server.url}${COLLECTIONS}`, { headers })).ok;
    },
    isTest: ({ path }) => path === COLLECTIONS,
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

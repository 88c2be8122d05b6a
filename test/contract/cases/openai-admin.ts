import { openaiAdminProvider } from '../../../shared/providers/openai-admin/provider.ts';
import type { KeyTarget } from '../../../shared/providers/http/target.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

const KEYS = '/v1/organization/admin_api_keys';
const OWNER = 'organization';

/** The provider of OpenAI's admin keys over a fake of its own; the login that administers them is another admin key. */
export function openaiAdminCase(): KeyFaults<KeyTarget> {
  let fake: FakeOpenAi;
  return {
    provider: openaiAdminProvider,
    start: async () => {
      fake = await FakeOpenAi.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => ({ server: fake.server, keys: fake.admins }),
    url: () => `${fake.server.url}/v1`,
    target: () => ({}),
    admin: () => ({ adminKey: fake.adminKey }),
    takes: async (value) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${fake.server.url}${KEYS}?limit=1`, { headers })).ok;
    },
    isTest: ({ path, query }) => path === KEYS && query.get('limit') === '1',
    addForeign: (_target, name = 'made by hand') => {
      fake.admins.add(OWNER, name, 'sk-admin-');
    },
    addExisting: () => fake.admins.add(OWNER, 'made by hand', 'sk-admin-'),
  };
}

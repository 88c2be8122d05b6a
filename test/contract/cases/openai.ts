import { openaiProvider } from '../../../shared/providers/openai/provider.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';
import type { KeyFaults } from '../describe-key-faults.ts';
import type { MeteringCase } from '../describe-metering.ts';

type OpenAiTarget = ReturnType<typeof openaiProvider.target>;

/** OpenAI's provider over a fake of its own. */
export function openaiCase(): KeyFaults<OpenAiTarget> & MeteringCase<OpenAiTarget> {
  let fake: FakeOpenAi;
  return {
    provider: openaiProvider,
    start: async () => {
      fake = await FakeOpenAi.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => `${fake.server.url}/v1`,
    target: (label) => ({ project: `proj-${label}`, serviceAccount: 'sa_1' }),
    admin: () => ({ adminKey: fake.adminKey }),
    takes: async (value) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${fake.server.url}/v1/models`, { headers })).ok;
    },
    request: async (value, model) =>
      fetch(`${fake.server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${value}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model }),
      }),
    isMetering: ({ path }) => path.startsWith('/v1/organization/usage/'),
    isTest: ({ path }) => path === '/v1/models',
    addForeign: ({ project, serviceAccount }, name = 'made by hand') => {
      fake.keys.add(`${project}/${serviceAccount}`, name, 'sk-svcacct-');
    },
    addExisting: ({ project, serviceAccount }) =>
      fake.keys.add(`${project}/${serviceAccount}`, 'made by hand', 'sk-svcacct-'),
    fill: ({ project, serviceAccount }) => {
      fake.keys.room = fake.keys.of(`${project}/${serviceAccount}`).length;
      return () => (fake.keys.room = Infinity);
    },
  };
}

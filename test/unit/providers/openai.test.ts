import { describe } from 'vitest';
import { openaiProvider } from '../../../shared/providers/openai/provider.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';

describe('OpenAI', () => {
  let fake: FakeOpenAi;

  describeProvider(
    'OpenAI',
    keyHarness({
      provider: openaiProvider,
      start: async () => {
        fake = await FakeOpenAi.start();
      },
      stop: async () => fake[Symbol.asyncDispose](),
      url: () => `${fake.server.url}/v1`,
      target: (label) => ({ project: 'proj_1', serviceAccount: `sa-${label}` }),
      admin: () => ({ adminKey: fake.adminKey }),
      takes: async (value, { baseUrl }) => {
        const headers = { authorization: `Bearer ${value}` };
        return (await fetch(`${baseUrl}/models`, { headers })).ok;
      },
      addForeign: ({ project, serviceAccount }) => {
        fake.keys.add(`${project}/${serviceAccount}`, 'made by hand', 'sk-svcacct-');
      },
    }),
  );
});

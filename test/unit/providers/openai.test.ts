import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openaiProvider } from '../../../shared/providers/openai/provider.ts';
import { describeKeyFaults, type KeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';

describe('OpenAI', () => {
  let fake: FakeOpenAi;

  const openai: KeyFaults<ReturnType<typeof openaiProvider.target>> = {
    provider: openaiProvider,
    start: async () => {
      fake = await FakeOpenAi.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => `${fake.server.url}/v1`,
    target: (label) => ({ project: `proj-${label}`, serviceAccount: 'sa_1' }),
    admin: () => ({ adminKey: fake.adminKey }),
    takes: async (value, { baseUrl }) => {
      const headers = { authorization: `Bearer ${value}` };
      return (await fetch(`${baseUrl}/models`, { headers })).ok;
    },
    isTest: ({ path }) => path === '/v1/models',
    addForeign: ({ project, serviceAccount }, name = 'made by hand') => {
      fake.keys.add(`${project}/${serviceAccount}`, name, 'sk-svcacct-');
    },
    fill: ({ project, serviceAccount }) => {
      fake.keys.room = fake.keys.of(`${project}/${serviceAccount}`).length;
    },
  };

  describeProvider('OpenAI', keyHarness(openai));
  describeKeyFaults('OpenAI', openai);

  describe('in a project with more keys than a page has', () => {
    beforeAll(async () => openai.start());
    afterAll(async () => openai.stop());

    it('finds its own behind all others, and none of another service account', async () => {
      const { provider, target: fields, url } = openai;
      const target = provider.target({ ...fields('paged'), label: 'paged', baseUrl: url() });
      for (let count = 0; count < 250; count++) fake.keys.add(`${target.project}/others`, 'other', 'sk-');
      const ctx = { ...keyHarness(openai).context(target), generation: 1 };
      const token = '00000000-0000-4000-9000-000000000001';
      const { handle } = await provider.issue(target, token, ctx);
      expect(await provider.list?.(target, ctx)).toEqual([handle]);
      const elsewhere = { ...target, serviceAccount: 'others' };
      expect(await provider.list?.(elsewhere, ctx)).toEqual([]);
    });
  });
});

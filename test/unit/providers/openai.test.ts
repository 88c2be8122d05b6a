import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openaiCase } from '../../contract/cases/openai.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';

describe('OpenAI', () => {
  describeProvider('OpenAI', keyHarness(openaiCase()));
  describeKeyFaults('OpenAI', openaiCase());

  describe('in a project with more keys than a page has', () => {
    const openai = openaiCase();
    beforeAll(async () => openai.start());
    afterAll(async () => openai.stop());

    it('finds its own behind all others, and none of another service account', async () => {
      const { provider } = openai;
      const target = provider.target({ ...openai.target('paged'), label: 'paged', baseUrl: openai.url() });
      const elsewhere = { ...target, serviceAccount: 'sa_2' };
      for (let count = 0; count < 250; count++) openai.addForeign(elsewhere);
      const ctx = { ...keyHarness(openai).context(target), generation: 1 };
      const token = '00000000-0000-4000-9000-000000000001';
      const { handle } = await provider.issue(target, token, ctx);
      expect(await provider.list?.(target, ctx)).toEqual([handle]);
      expect(await provider.list?.(elsewhere, ctx)).toEqual([]);
    });
  });
});

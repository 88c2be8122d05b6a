import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { mistralProvider } from '../../../shared/providers/mistral/provider.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeMistral } from '../../fakes/mistral.ts';

const NOW = Date.parse('2026-11-26T23:00:00.000Z');
const WORKSPACE = '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11';
const USER = '0b7c7c5e-8f5e-4b7a-8f0e-5a1d3c9b2f22';

describe('Mistral', () => {
  let fake: FakeMistral;

  describeProvider(
    'Mistral',
    keyHarness({
      provider: mistralProvider,
      start: async () => {
        fake = await FakeMistral.start();
      },
      stop: async () => fake[Symbol.asyncDispose](),
      fake: () => fake,
      url: () => `${fake.server.url}/v1`,
      target: () => ({ workspace: WORKSPACE, user: USER }),
      admin: () => ({ adminKey: fake.adminKey }),
      takes: async (value, { baseUrl }) => {
        const headers = { authorization: `Bearer ${value}` };
        return (await fetch(`${baseUrl}/models`, { headers })).ok;
      },
      addForeign: ({ workspace }) => {
        fake.keys.add(workspace, 'made by hand', '');
      },
      addExisting: ({ workspace }) => fake.keys.add(workspace, 'made by hand', ''),
    }),
  );

  describe('has of its own', () => {
    let one: FakeMistral;
    const target = (declared: object = {}) =>
      mistralProvider.target({
        workspace: WORKSPACE,
        user: USER,
        label: 'chat',
        baseUrl: `${one.server.url}/v1`,
        ...declared,
      });
    const context = (secret: object = {}): IssueContext => ({
      clock: () => NOW,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(
            JSON.stringify({ adminKey: one.adminKey, baseUrl: `${one.server.url}/v1`, ...secret }),
          ),
        ),
    });

    beforeAll(async () => {
      one = await FakeMistral.start();
    });
    beforeEach(() => {
      one.header = 'bearer';
      one.pageSize = 100;
      one.keys.all.clear();
    });
    afterAll(async () => one[Symbol.asyncDispose]());

    it('keys that end by themselves on a date, where the target says after how many days', async () => {
      const { handle } = await mistralProvider.issue(target(), randomUUID(), context());
      expect(one.expirations.get(handle.id)).toBeUndefined();
      await mistralProvider.revoke(target(), handle, { endSessions: false }, context());
      const ending = await mistralProvider.issue(target({ expiresInDays: 60 }), randomUUID(), context());
      expect(one.expirations.get(ending.handle.id)).toBe('2027-01-25');
    });

    it('no end that may come before the next rotation', () => {
      expect(() => target({ expiresInDays: 44 })).toThrow(/at least 45/);
    });

    it('the header that the administrative secret names', async () => {
      one.header = 'x-api-key';
      await expect(mistralProvider.preflight(target(), context())).rejects.toMatchObject({
        code: 'ERR_ADMIN_DENIED',
      });
      await mistralProvider.preflight(target(), context({ header: 'x-api-key' }));
    });

    it('an address of the administration that only the administrative secret can name', async () => {
      await using elsewhere = await FakeMistral.start();
      const secret = { adminUrl: `${elsewhere.server.url}/v1` };
      const { handle } = await mistralProvider.issue(target(), randomUUID(), context(secret));
      expect([...elsewhere.keys.all.keys()]).toEqual([handle.id]);
      expect(one.keys.all.size).toBe(0);
      expect(() => target({ adminUrl: secret.adminUrl })).toThrow(/adminUrl/);
      await expect(
        mistralProvider.preflight(target(), context({ adminUrl: 'https://10.0.0.1/v1' })),
      ).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.adminUrl' });
    });

    it('a key found on whichever page it stands, and no key of another workspace', async () => {
      one.pageSize = 2;
      for (let count = 0; count < 4; count++) one.keys.add(WORKSPACE, `by hand ${count}`, '');
      one.keys.add(randomUUID(), `rekey.chat.1.${randomUUID()}`, '');
      const { handle } = await mistralProvider.issue(target(), randomUUID(), context());
      expect(await mistralProvider.list?.(target(), context())).toEqual([handle]);
      const done = await mistralProvider.revoke(target(), handle, { endSessions: false }, context());
      expect(done).toMatchObject({ confirmed: true });
      expect(one.keys.all.size).toBe(5);
    });

    it('one label in a workspace, whatever the user: its list tells no user', () => {
      const other = target({ user: randomUUID() });
      expect(mistralProvider.identity?.(other)).toBe(mistralProvider.identity?.(target()));
    });
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { openaiAdminProvider as provider } from '../../../shared/providers/openai-admin/provider.ts';
import type { ProviderContext } from '../../../shared/providers/provider.ts';
import { openaiAdminCase } from '../../contract/cases/openai-admin.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';

const FORCED = { endSessions: true, compromised: true, ownLogin: true };

describe('admin keys of OpenAI', () => {
  describeProvider('admin keys of OpenAI', keyHarness(openaiAdminCase()));
  describeKeyFaults('admin keys of OpenAI', openaiAdminCase());

  describe('where a key administers itself', () => {
    let fake: FakeOpenAi;
    let login: string;
    const baseUrl = (): string => `${fake.server.url}/v1`;
    const target = () => provider.target({ label: 'rekey', baseUrl: baseUrl() });
    const ctx: ProviderContext = {
      clock: Date.now,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ adminKey: login, baseUrl: baseUrl() }))),
    };
    const own = async () => {
      const material = provider.material(new Redacted(JSON.stringify({ adminKey: login })));
      const id = (await provider.adoption?.identify(target(), material, ctx)) ?? '';
      return { id, generation: 1 };
    };

    beforeEach(async () => {
      fake = await FakeOpenAi.start();
      login = fake.adminKey;
    });
    afterEach(async () => fake[Symbol.asyncDispose]());

    it('is recognised by what OpenAI shows of it', async () => {
      expect(fake.admins.all.get((await own()).id)?.value).toBe(login);
    });

    it('ends itself, which its own refusal confirms; the same again is success', async () => {
      const handle = await own();
      for (let count = 0; count < 2; count++) {
        expect(await provider.revoke(target(), handle, FORCED, ctx)).toMatchObject({
          confirmed: true,
          method: 'negative-authentication',
        });
        expect(fake.admins.all.size).toBe(0);
      }
    });

    it('does not take another refusal for its end', async () => {
      const handle = await own();
      fake.server.fail({ kind: 'reply', status: 403, body: {} }, () => true, 9);
      const refused = await provider.revoke(target(), handle, FORCED, ctx).catch((error: unknown) => error);
      expect(isRekeyError(refused, 'ERR_ADMIN_DENIED')).toBe(true);
      expect(fake.admins.all.size).toBe(1);
    });

    it('does not take the end of its login for the end of another key', async () => {
      const other = fake.admins.add('organization', 'made by hand', 'sk-admin-');
      fake.admins.all.delete((await own()).id);
      const handle = { id: other.id, generation: 1 };
      const refused = await provider
        .revoke(target(), handle, { endSessions: true }, ctx)
        .catch((error: unknown) => error);
      expect(isRekeyError(refused, 'ERR_ADMIN_DENIED')).toBe(true);
    });

    it('keeps whatever else stands in its secret', () => {
      const former = new Redacted(
        JSON.stringify({ adminKey: login, baseUrl: baseUrl(), note: 'of platform' }),
      );
      const next = provider.serialize(new Redacted({ apiKey: 'sk-admin-next', apiKeyId: 'key_2' }), former);
      expect(JSON.parse(next.reveal())).toEqual({
        adminKey: 'sk-admin-next',
        baseUrl: baseUrl(),
        note: 'of platform',
      });
    });
  });
});

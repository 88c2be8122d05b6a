import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isRekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { azureOpenaiCase } from '../../contract/cases/azure-openai.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { refusalOf } from '../../support/refused.ts';

describe('Keys of Azure OpenAI', () => {
  describeProvider('Azure OpenAI', keyHarness(azureOpenaiCase()));
  describeKeyFaults('Azure OpenAI', azureOpenaiCase());

  describe('have of their own', () => {
    const azure = azureOpenaiCase();
    const { provider } = azure;
    const [FIRST, SECOND] = [randomUUID(), randomUUID()];
    let accounts = 0;
    const target = (declared: object = {}) =>
      provider.target({
        ...azure.target(`own-${++accounts}`),
        label: 'app',
        baseUrl: azure.url(),
        ...declared,
      });
    const context = (more: Partial<IssueContext> = {}, secret: object = {}): IssueContext => ({
      clock: Date.now,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(JSON.stringify({ ...azure.admin(azure.url()), baseUrl: azure.url(), ...secret })),
        ),
      ...more,
    });
    const regenerations = (): number =>
      azure.fake().server.asked.filter(({ path }) => path.endsWith('/regenerateKey')).length;
    const onRegenerate = ({ path }: { path: string }): boolean => path.endsWith('/regenerateKey');
    const idsOf = async (one: ReturnType<typeof target>): Promise<string[]> =>
      ((await provider.list?.(one, context())) ?? []).map(({ id }) => id);
    const end = { endSessions: true };

    beforeAll(async () => azure.start());
    beforeEach(() => {
      azure.fake().server.heal();
      azure.fake().server.asked.length = 0;
    });
    afterAll(async () => azure.stop());

    it('the second slot first, since people use the first; then the slots take turns', async () => {
      const one = target();
      const { keys } = azure.fake().account(one);
      const untouched = keys.key1;
      const first = await provider.issue(one, FIRST, context());
      expect([first.handle.id, keys.key1]).toEqual([expect.stringMatching(/^Key2-1-/), untouched]);
      const current = first.handle;
      const second = await provider.issue(one, SECOND, context({ generation: 2, current }));
      expect(second.handle.id).toMatch(/^Key1-2-/);
      await provider.revoke(one, first.handle, end, context());
      const third = await provider.issue(
        one,
        randomUUID(),
        context({ generation: 3, current: second.handle }),
      );
      expect(third.handle.id).toMatch(/^Key2-3-/);
    });

    it('a tag that says whose a slot is, and nothing of a value', async () => {
      const one = target();
      const { handle } = await provider.issue(one, FIRST, context());
      const { tags, keys } = azure.fake().account(one);
      expect(tags).toEqual({
        'rekey-key2-made': expect.stringMatching(
          new RegExp(`^[0-9a-f]{16}\\.app\\.1\\.${FIRST}\\.[0-9a-f]{8}$`),
        ),
        'rekey-key2-ended': '',
      });
      expect(JSON.stringify([tags, handle])).not.toContain(keys.key2.slice(0, 8));
    });

    it('no second regeneration where the answer to the first was lost: the value is read', async () => {
      const one = target();
      azure.fake().server.fail({ kind: 'lost' }, onRegenerate);
      await refusalOf(async () => provider.issue(one, FIRST, context()));
      const { material } = await provider.issue(one, FIRST, context());
      expect(regenerations()).toBe(1);
      expect(material.reveal().apiKey).toBe(azure.fake().account(one).keys.key2);
    });

    it('no stranger’s value for its own where a regeneration never came', async () => {
      const one = target();
      const { keys } = azure.fake().account(one);
      const strangers = keys.key2;
      azure.fake().server.fail({ kind: 'reset' }, onRegenerate);
      await refusalOf(async () => provider.issue(one, FIRST, context()));
      expect(await idsOf(one)).toEqual([]);
      const { material } = await provider.issue(one, FIRST, context());
      expect(material.reveal().apiKey).not.toBe(strangers);
      expect(await azure.fake().takes(strangers)).toBe(false);
    });

    it('a key that counts as alive while its revocation has only begun, and dies when it is repeated', async () => {
      const one = target();
      const { handle, material } = await provider.issue(one, FIRST, context());
      azure.fake().server.fail({ kind: 'reset' }, onRegenerate);
      await refusalOf(async () => provider.revoke(one, handle, end, context()));
      expect([await idsOf(one), await azure.fake().takes(material.reveal().apiKey)]).toEqual([
        [handle.id],
        true,
      ]);
      expect((await provider.revoke(one, handle, end, context())).confirmed).toBe(true);
      expect([await idsOf(one), await azure.fake().takes(material.reveal().apiKey)]).toEqual([[], false]);
    });

    it('no value given out again whose revocation has begun', async () => {
      const one = target();
      const { handle, material } = await provider.issue(one, FIRST, context());
      azure.fake().server.fail({ kind: 'reset' }, onRegenerate);
      await refusalOf(async () => provider.revoke(one, handle, end, context()));
      const again = await provider.issue(one, FIRST, context());
      expect(again.material.reveal().apiKey).not.toBe(material.reveal().apiKey);
      expect(await azure.fake().takes(material.reveal().apiKey)).toBe(false);
    });

    it('a revocation that works without the tags: who deploys the account may have removed them', async () => {
      const one = target();
      const first = await provider.issue(one, FIRST, context());
      const second = await provider.issue(one, SECOND, context({ generation: 2, current: first.handle }));
      azure.fake().retag(azure.fake().account(one), {});
      await provider.revoke(one, first.handle, end, context());
      await provider.revoke(one, first.handle, end, context());
      const works = async ({ material }: typeof first) => azure.fake().takes(material.reveal().apiKey);
      expect([await works(first), await works(second), regenerations()]).toEqual([false, true, 3]);
      await provider.issue(one, randomUUID(), context({ generation: 3, current: second.handle }));
      expect(await works(second)).toBe(true);
    });

    describe('whatever another process does at the same time:', () => {
      const isNote = ({ method }: { method: string }): boolean => method === 'PATCH';
      const works = async ({ material }: { material: Redacted<{ apiKey: string }> }) =>
        azure.fake().takes(material.reveal().apiKey);

      it('no third generation is hit by a revocation of the first that comes late', async () => {
        const one = target();
        const first = await provider.issue(one, FIRST, context());
        const second = await provider.issue(one, SECOND, context({ generation: 2, current: first.handle }));
        const { held, release } = azure.fake().server.hold(isNote);
        const late = refusalOf(async () => provider.revoke(one, first.handle, end, context()));
        await held;
        await provider.revoke(one, first.handle, end, context());
        const about = context({ generation: 3, current: second.handle });
        const third = await provider.issue(one, randomUUID(), about);
        release();
        expect((await late).code).toBe('ERR_UNAVAILABLE');
        expect((await provider.revoke(one, first.handle, end, context())).confirmed).toBe(true);
        expect([await works(first), await works(second), await works(third)]).toEqual([false, true, true]);
        expect((await idsOf(one)).toSorted()).toEqual([second.handle.id, third.handle.id].toSorted());
        expect((await provider.revoke(one, third.handle, end, context())).confirmed).toBe(true);
        expect(await works(third)).toBe(false);
      });

      it('no later key is replaced by an issue that comes late', async () => {
        const one = target();
        const { held, release } = azure.fake().server.hold(isNote);
        const late = refusalOf(async () => provider.issue(one, FIRST, context()));
        await held;
        const second = await provider.issue(one, SECOND, context({ generation: 2 }));
        release();
        expect((await late).code).toBe('ERR_UNAVAILABLE');
        expect([await works(second), regenerations()]).toEqual([true, 1]);
        expect((await provider.revoke(one, second.handle, end, context())).confirmed).toBe(true);
        expect([await works(second), await idsOf(one)]).toEqual([false, []]);
      });

      it('one of two issues under one token regenerates, and both come to its value', async () => {
        const one = target();
        const holds = [azure.fake().server.hold(isNote), azure.fake().server.hold(isNote)];
        const issues = [1, 2].map(async () =>
          provider.issue(one, FIRST, context()).catch(async (error: unknown) => {
            if (!isRekeyError(error, 'ERR_UNAVAILABLE')) throw error;
            return provider.issue(one, FIRST, context());
          }),
        );
        await Promise.all(holds.map(({ held }) => held));
        for (const { release } of holds) release();
        const values = (await Promise.all(issues)).map(({ material }) => material.reveal().apiKey);
        expect(values).toEqual([values[0], values[0]]);
        expect([regenerations(), await azure.fake().takes(values[0] ?? '')]).toEqual([1, true]);
      });

      it('one of two revocations regenerates, the other finds it done', async () => {
        const one = target();
        const first = await provider.issue(one, FIRST, context());
        const holds = [azure.fake().server.hold(isNote), azure.fake().server.hold(isNote)];
        const revocations = [1, 2].map(async () => provider.revoke(one, first.handle, end, context()));
        await Promise.all(holds.map(({ held }) => held));
        for (const { release } of holds) release();
        const done = await Promise.allSettled(revocations);
        expect(done.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
        expect((await provider.revoke(one, first.handle, end, context())).confirmed).toBe(true);
        expect([await works(first), await idsOf(one), regenerations()]).toEqual([false, [], 2]);
      });
    });

    it('a slot that is free again where a person has regenerated what a rotation retires', async () => {
      const one = target();
      const first = await provider.issue(one, FIRST, context());
      const second = await provider.issue(one, SECOND, context({ generation: 2, current: first.handle }));
      azure.fake().regenerate(azure.fake().account(one), 'Key2');
      const byHand = azure.fake().account(one).keys.key2;
      expect((await provider.revoke(one, first.handle, end, context())).confirmed).toBe(true);
      expect([await idsOf(one), await azure.fake().takes(byHand)]).toEqual([[second.handle.id], false]);
      await provider.issue(one, randomUUID(), context({ generation: 3, current: second.handle }));
    });

    it('no room where agents use an adopted key and the other one is not retired', async () => {
      const one = target();
      const made = azure.addExisting?.(one);
      const current = { id: made?.id ?? '', generation: 1 };
      await provider.issue(one, FIRST, context({ generation: 2, current }));
      const error = await refusalOf(async () =>
        provider.issue(one, SECOND, context({ generation: 3, current })),
      );
      expect(error).toMatchObject({ code: 'ERR_CAPACITY', field: 'target.account' });
      expect(regenerations()).toBe(1);
    });

    it('no slot of another credential, neither one that lives nor one that it has retired', async () => {
      const one = target();
      const other = { ...one, label: 'other' };
      const first = await provider.issue(one, FIRST, context());
      const second = await provider.issue(one, SECOND, context({ generation: 2, current: first.handle }));
      await provider.revoke(one, first.handle, end, context());
      const error = await refusalOf(async () => provider.issue(other, randomUUID(), context()));
      expect(error.code).toBe('ERR_CAPACITY');
      expect([await idsOf(other), await idsOf(one)]).toEqual([[], [second.handle.id]]);
    });

    it.for([
      'VALUE.app.1',
      'VALUE.app.1.TOKEN',
      'VALUE.App.1.TOKEN.01234567',
      'VALUE.app.1.TOKEN.01234567.old',
      '0123.app.1.TOKEN.01234567',
      'VALUE.app.one.TOKEN.01234567',
      ' VALUE.app.1.TOKEN.01234567',
    ])('no key for its own whose tag says %s', async (form) => {
      const one = target();
      const tag = form.replace('VALUE', '0123456789abcdef').replace('TOKEN', FIRST);
      azure.fake().retag(azure.fake().account(one), { 'rekey-key1-made': tag });
      expect(await idsOf(one)).toEqual([]);
    });

    it('tags of others that stay as they are', async () => {
      const one = target();
      azure.fake().retag(azure.fake().account(one), { team: 'shop' });
      await provider.issue(one, FIRST, context());
      expect(azure.fake().account(one).tags).toMatchObject({ team: 'shop' });
    });

    it.for([
      [{ exclusive: false }, 'target.exclusive'],
      [{ exclusive: undefined }, 'target.exclusive'],
      [{ account: '../other' }, 'target.account'],
      [{ resourceGroup: 'a/b' }, 'target.resourceGroup'],
      [{ subscription: 'prod' }, 'target.subscription'],
      [{ adminUrl: 'https://elsewhere.example' }, 'target.adminUrl'],
    ] as const)('no target with %j', async ([declared, field]) => {
      expect(await refusalOf(() => target(declared))).toMatchObject({ code: 'ERR_DECLARATION', field });
    });

    it('no login for another tenant or another address than the administrative secret is for', async () => {
      const tenant = await refusalOf(async () =>
        provider.preflight(target({ tenantId: randomUUID() }), context()),
      );
      expect(tenant).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.tenantId' });
      const place = await refusalOf(async () =>
        provider.preflight(target(), context({}, { baseUrl: 'https://other.openai.azure.com' })),
      );
      expect(place).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      const login = await refusalOf(async () =>
        provider.preflight(target(), context({}, { loginUrl: 'https://169.254.169.254' })),
      );
      expect(login).toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.loginUrl' });
      expect(azure.fake().server.asked).toEqual([]);
    });

    it('a way by hand for the slot of a key', () => {
      const one = target({ account: 'Shop' });
      expect(provider.manualRevocation?.(one, { id: 'Key1-3-0123456789abcdef', generation: 3 })).toMatch(
        /regenerate --subscription \S+ -g agents -n shop --key-name Key1$/,
      );
    });
  });
});

import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { awsIamProvider } from '../../../shared/providers/aws-iam/provider.ts';
import { bedrockProvider, type BedrockTarget } from '../../../shared/providers/bedrock/provider.ts';
import type { KeyMaterial } from '../../../shared/providers/http/material.ts';
import type { Issued, IssueContext } from '../../../shared/providers/provider.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { FakeIam } from '../../fakes/aws-iam.ts';
import { addBedrockKey, FakeBedrock, useBedrockKey } from '../../fakes/bedrock.ts';
import type { Asked } from '../../fakes/upstream.ts';
import { refusalOf } from '../../support/refused.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

describe('keys for Bedrock', () => {
  let iam: FakeIam;
  let bedrock: FakeBedrock;
  let count = 0;

  const start = async (): Promise<void> => {
    iam = await FakeIam.start();
    bedrock = await FakeBedrock.start((value) => useBedrockKey(iam, value));
  };
  const stop = async (): Promise<void> => {
    await bedrock[Symbol.asyncDispose]();
    await iam[Symbol.asyncDispose]();
  };
  const fresh = (): BedrockTarget => {
    const user = `agent-${++count}`;
    iam.addUser(user, '/agents/');
    return bedrockProvider.target({
      user,
      region: 'eu-central-1',
      baseUrl: bedrock.server.url,
    });
  };
  const context = (generation = 1): IssueContext => ({
    clock: Date.now,
    generation,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000, aws: iam.aws },
    admin: async () => Promise.resolve(new Redacted('no-login-at-all')),
  });

  describeProvider<BedrockTarget, KeyMaterial>('Bedrock', {
    provider: bedrockProvider,
    stateless: true,
    start,
    stop,
    freshTarget: async () => Promise.resolve(fresh()),
    elsewhere: (target) => ({ ...target, user: 'somebody-else' }),
    context: () => context(),
    open: async (_target, material) => {
      const { apiKey } = material.reveal();
      if (!(await bedrock.takes(apiKey))) throw new Error('Bedrock refuses the key');
      return { works: async () => bedrock.takes(apiKey), close: async () => Promise.resolve() };
    },
    withWrongSecret: (material) =>
      material.map((key) => ({ ...key, apiKey: `${key.apiKey.slice(0, -6)}wrong!` })),
    withOtherUser: (material) => material.map((key) => ({ ...key, apiKeyId: 'ACCAOFSOMEBODYELSE01' })),
    addForeignCredential: async ({ user }) => {
      addBedrockKey(iam.user(user));
      return Promise.resolve();
    },
  });

  describe('at IAM', () => {
    takeNoTimeToWait();
    beforeAll(start);
    afterAll(stop);

    const TOKEN = '11111111-0000-4000-8000-000000000000';
    const LATER = '22222222-0000-4000-8000-000000000000';
    const issue = async (
      target: BedrockTarget,
      token = TOKEN,
      generation = 1,
    ): Promise<Issued<KeyMaterial>> => bedrockProvider.issue(target, token, context(generation));
    const idsOf = ({ user }: BedrockTarget): string[] => [...iam.user(user).bedrockKeys.keys()];
    const calls = (action: string) => (asked: Asked) => asked.text.includes(`Action=${action}&`);
    const CREATE = 'CreateServiceSpecificCredential';

    it.each([
      ['whose answer is lost', 'lost', calls(CREATE), 2],
      ['that does not come to IAM', 'reset', calls(CREATE), 1],
      [
        'whose mark is lost',
        'reset',
        (asked: Asked) => calls('TagUser')(asked) && asked.text.includes('bedrock-key'),
        2,
      ],
    ] as const)(
      'a creation %s is taken up by its repetition, without an orphan',
      async (_when, kind, on, left) => {
        const target = fresh();
        const first = await issue(target);
        iam.server.fail({ kind }, on, 4);
        expect((await refusalOf(async () => issue(target, LATER, 2))).code).toBe('ERR_UNAVAILABLE');
        iam.server.heal();
        expect(idsOf(target)).toHaveLength(left);
        const again = await issue(target, LATER, 2);
        expect(idsOf(target)).toEqual([first.handle.id, again.handle.id]);
        expect(await bedrockProvider.list?.(target, context())).toEqual([first.handle, again.handle]);
      },
    );

    it('an orphan is known by its token, so that an abort or an emergency ends it', async () => {
      const target = fresh();
      iam.server.fail({ kind: 'lost' }, calls(CREATE));
      await refusalOf(async () => issue(target));
      const orphan = (await bedrockProvider.list?.(target, context()))?.[0];
      expect(orphan?.token).toBe(TOKEN);
      await bedrockProvider.revoke(target, orphan as CredentialHandle, { endSessions: true }, context());
      expect(idsOf(target)).toEqual([]);
    });

    it('a key that Rekey did not make is named where it is in the way, and stays', async () => {
      const target = fresh();
      const foreign = addBedrockKey(iam.user(target.user));
      const first = await issue(target);
      const error = await refusalOf(async () => issue(target, LATER, 2));
      expect(error).toMatchObject({ code: 'ERR_CAPACITY', field: 'target.user' });
      expect(error.message).toContain(foreign.id);
      expect(idsOf(target)).toEqual([foreign.id, first.handle.id]);
    });

    it('never resets a key in place', async () => {
      const target = fresh();
      const first = await issue(target);
      const { secret } = iam.user(target.user).bedrockKeys.get(first.handle.id) ?? {};
      await issue(target, LATER, 2);
      expect(iam.user(target.user).bedrockKeys.get(first.handle.id)?.secret).toBe(secret);
      expect(await bedrock.takes(first.material.reveal().apiKey)).toBe(true);
    });

    it("knows nothing of the same user's access keys, nor they of it", async () => {
      const target = fresh();
      const user = { user: target.user };
      const access = await awsIamProvider.issue(user, TOKEN, context());
      const key = await issue(target);
      expect(await bedrockProvider.list?.(target, context(3))).toEqual([key.handle]);
      await issue(target, LATER, 3);
      await awsIamProvider.issue(user, LATER, context(3));
      expect(await awsIamProvider.list?.(user, context())).toMatchObject([access.handle, { generation: 3 }]);
      expect(await bedrockProvider.list?.(target, context())).toMatchObject([key.handle, { generation: 3 }]);
    });

    it.for([
      [1, '31'],
      [45, '90'],
    ] as const)('a key made for %i days ends by itself after %s', async ([days, ageDays]) => {
      const target = fresh();
      const ctx = { ...context(), intervalSeconds: days * 86_400 };
      const { handle } = await bedrockProvider.issue(target, TOKEN, ctx);
      expect(iam.user(target.user).bedrockKeys.get(handle.id)?.ageDays).toBe(ageDays);
    });

    it('a new key is waited for until it is taken three times in a row', async () => {
      const target = fresh();
      const issued = await issue(target);
      bedrock.server.asked.length = 0;
      const key = iam.user(target.user).bedrockKeys.get(issued.handle.id);
      if (key !== undefined) key.refusals = 2;
      await bedrockProvider.activate?.(target, TOKEN, issued, context());
      expect(bedrock.server.asked.map(({ status }) => status)).toEqual([403, 403, 200, 200, 200]);
    });

    it.for([
      ['that somebody has ended', false, 'ERR_REJECTED'],
      ['that does not spread in time', true, 'ERR_NOT_PROPAGATED'],
    ] as const)('a new key %s is told from others', async ([, active, code]) => {
      const target = fresh();
      const issued = await issue(target);
      const key = iam.user(target.user).bedrockKeys.get(issued.handle.id);
      if (key !== undefined) Object.assign(key, { active, refusals: 1000 });
      const error = await refusalOf(async () => bedrockProvider.activate?.(target, TOKEN, issued, context()));
      expect(error.code).toBe(code);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(issued.material.reveal().apiKey);
    });

    it('a right that is missing is said with the call and the user', async () => {
      iam.denied.add(CREATE);
      const error = await refusalOf(async () => issue(fresh()));
      iam.denied.clear();
      expect(error).toMatchObject({ code: 'ERR_ADMIN_DENIED', field: 'target.user' });
      expect(error.message).toContain(`iam:${CREATE}`);
    });

    it.for([
      [{ user: '/agents/chat' }, 'target.user'],
      [{ region: 'https://evil.example/' }, 'target.region'],
      [{ region: 'eu-central-1.evil.example' }, 'target.region'],
      [{ label: 'chat' }, 'target.label'],
    ] as const)('no target with %j', async ([declared, field]) => {
      const plain = { user: 'chat', region: 'eu-central-1' };
      const error = await refusalOf(() => bedrockProvider.target({ ...plain, ...declared }));
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field });
    });

    it('reaches no private address that the deployment does not name', async () => {
      const target = fresh();
      const { material } = await issue(target);
      const ctx = context();
      const reach = { ...ctx.reach, privateHosts: [] };
      const error = await refusalOf(async () => bedrockProvider.verify(target, material, { ...ctx, reach }));
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
    });

    it('has a way by hand that suspends before it deletes', () => {
      const told = bedrockProvider.manualRevocation?.(fresh(), { id: 'ACCA1', generation: 1 }) ?? '';
      expect(told.indexOf('--status Inactive')).toBeGreaterThan(0);
      expect(told.indexOf('delete-service-specific-credential')).toBeGreaterThan(told.indexOf('Inactive'));
    });
  });
});

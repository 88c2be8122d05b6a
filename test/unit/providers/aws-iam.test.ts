import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IamMaterial } from '../../../shared/providers/aws-iam/material.ts';
import { ownKeys, readMarks, spentTags, type AccessKey } from '../../../shared/providers/aws-iam/marks.ts';
import { awsIamProvider } from '../../../shared/providers/aws-iam/provider.ts';
import type { IamTarget } from '../../../shared/providers/aws-iam/target.ts';
import type { Issued } from '../../../shared/providers/provider.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { FakeIam } from '../../fakes/aws-iam.ts';
import type { Asked, Fault } from '../../fakes/upstream.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

describe('IAM access keys', () => {
  let fake: FakeIam;
  let count = 0;

  const fresh = (path = '/agents/'): IamTarget => {
    const user = `agent-${++count}`;
    fake.addUser(user, path);
    return { user };
  };
  const context = () => ({
    clock: Date.now,
    reach: { privateHosts: [], aws: fake.aws },
    admin: async () => Promise.reject<Redacted<string>>(new Error('no administrative login is needed')),
  });

  describeProvider<IamTarget, IamMaterial>('IAM', {
    provider: awsIamProvider,
    stateless: true,
    start: async () => {
      fake = await FakeIam.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    freshTarget: async () => Promise.resolve(fresh()),
    elsewhere: () => ({ user: 'somebody-else' }),
    context: () => ({ ...context(), admin: async () => Promise.resolve(new Redacted('no-login-at-all')) }),
    open: async (_target, material) => {
      const key = material.reveal();
      if (!(await fake.takes(key))) throw new Error('AWS refuses the key');
      return { works: async () => fake.takes(key), close: async () => Promise.resolve() };
    },
    withWrongSecret: (material) =>
      material.map((key) => ({ ...key, secretAccessKey: `${key.secretAccessKey.slice(0, -6)}wrong!` })),
    withOtherUser: (material) =>
      material.map((key) => ({ ...key, user: 'somebody-else', accessKeyId: 'AKIAOFSOMEBODYELSE01' })),
    addForeignCredential: async ({ user }) => {
      fake.addKey(user);
      return Promise.resolve();
    },
    addExistingCredential: async ({ user }) => {
      const { id, secret } = fake.addKey(user);
      return Promise.resolve(new Redacted({ user, accessKeyId: id, secretAccessKey: secret }));
    },
  });

  describe('at IAM', () => {
    takeNoTimeToWait();
    beforeAll(async () => {
      fake = await FakeIam.start();
    });
    afterAll(async () => fake[Symbol.asyncDispose]());

    const TOKEN = '11111111-0000-4000-8000-000000000000';
    const LATER = '22222222-0000-4000-8000-000000000000';
    const issue = async (target: IamTarget, token = TOKEN, generation = 1): Promise<Issued<IamMaterial>> =>
      awsIamProvider.issue(target, token, { ...context(), generation });
    const list = async (target: IamTarget) => (await awsIamProvider.list?.(target, context())) ?? [];
    const idsOf = ({ user }: IamTarget): string[] => [...fake.user(user).keys.keys()];
    const takes = async ({ material }: Issued<IamMaterial>): Promise<boolean> =>
      fake.takes(material.reveal());
    const calls = (action: string) => (asked: Asked) => asked.text.includes(`Action=${action}&`);
    const tagging = (tag: string) => (asked: Asked) =>
      calls('TagUser')(asked) && asked.text.includes(encodeURIComponent(tag));
    /** The first credential, and what an attempt to make the second has left when it was interrupted. */
    async function interrupted(kind: Fault['kind'] & ('lost' | 'reset'), on: (asked: Asked) => boolean) {
      const target = fresh();
      const first = await issue(target);
      // The way to IAM is tried four times, but for the creation of a key.
      fake.server.fail({ kind }, on, 4);
      await expect(issue(target, LATER, 2)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
      fake.server.heal();
      return { target, first };
    }

    describe('an attempt to make a key that is interrupted', () => {
      it.each([
        ['before the intent', 'reset', tagging('rekey:intent'), 1],
        ['before the key', 'reset', calls('CreateAccessKey'), 1],
        ['when the key is made and its answer lost', 'lost', calls('CreateAccessKey'), 2],
        ['before the mark', 'reset', tagging('rekey:key:'), 2],
        ['when the mark is made and its answer lost', 'lost', tagging('rekey:key:'), 2],
      ] as const)(
        '%s is taken up by its repetition, which leaves no orphan',
        async (_when, kind, on, left) => {
          const { target, first } = await interrupted(kind, on);
          const orphans = idsOf(target).filter((id) => id !== first.handle.id);
          expect(orphans).toHaveLength(left - 1);
          const again = await issue(target, LATER, 2);
          expect(idsOf(target)).toEqual([first.handle.id, again.handle.id]);
          expect([await takes(first), await takes(again)]).toEqual([true, true]);
          expect(await list(target)).toEqual([first.handle, again.handle]);
        },
      );

      it('shows its key under its token, so that an abort or an emergency ends it', async () => {
        const { target, first } = await interrupted('lost', calls('CreateAccessKey'));
        const orphan = (await list(target)).find(({ token }) => token === LATER);
        expect(orphan).toMatchObject({ generation: 2 });
        await awsIamProvider.revoke(target, orphan as CredentialHandle, { endSessions: true }, context());
        expect(idsOf(target)).toEqual([first.handle.id]);
      });

      it('leaves nothing in the way of the next rotation, even where it was never undone', async () => {
        const { target, first } = await interrupted('lost', calls('CreateAccessKey'));
        const next = await issue(target, TOKEN.replace('1', '3'), 3);
        expect(idsOf(target)).toEqual([first.handle.id, next.handle.id]);
      });

      it('ends a key whose creation IAM completes only after it has been asked again', async () => {
        const { target } = await interrupted('reset', calls('CreateAccessKey'));
        let late: string | undefined;
        fake.server.fail({ kind: 'reset' }, (asked) => {
          if (calls('CreateAccessKey')(asked)) late ??= fake.addKey(target.user).id;
          return false;
        });
        await expect(issue(target, LATER, 2)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
        fake.server.heal();
        expect(idsOf(target)).toContain(late);
        const again = await issue(target, LATER, 2);
        expect(idsOf(target)).not.toContain(late);
        expect(await takes(again)).toBe(true);
      });

      it('and beside which somebody makes a key at that moment is refused: it may be either, and both stay', async () => {
        const target = fresh();
        fake.server.fail({ kind: 'lost' }, calls('CreateAccessKey'));
        await expect(issue(target)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
        fake.addKey(target.user);
        const before = idsOf(target);
        const refused = await issue(target).catch((error: unknown) => error);
        expect(refused).toMatchObject({ code: 'ERR_CAPACITY', field: 'target.user' });
        expect(String(refused)).toContain('may be any of');
        for (const id of before) expect(String(refused)).toContain(id);
        expect([idsOf(target), await list(target)]).toEqual([before, []]);
        // Whichever of them a person then deletes, the other is nobody's but that person's.
        fake.user(target.user).keys.delete(before[0] ?? '');
        await issue(target, LATER, 2);
        expect(idsOf(target)).toContain(before[1]);
      });
    });

    describe('a key that Rekey has not made', () => {
      it.each(['active', 'inactive'])(
        'takes room although it is %s, and is named, never deleted',
        async (state) => {
          const target = fresh();
          const first = await issue(target);
          const foreign = fake.addKey(target.user);
          foreign.active = state === 'active';
          const refused = await issue(target, LATER, 2).catch((error: unknown) => error);
          expect(refused).toMatchObject({ code: 'ERR_CAPACITY', field: 'target.user' });
          expect(String(refused)).toContain(foreign.id);
          expect(String(refused)).not.toContain(first.handle.id);
          expect(idsOf(target)).toEqual([first.handle.id, foreign.id]);
        },
      );

      it('is not taken for Rekey’s because it came within minutes of one that was', async () => {
        const target = fresh();
        const first = await issue(target);
        const byHand = fake.addKey(target.user);
        expect(await list(target)).toEqual([first.handle]);
        await awsIamProvider.revoke(target, first.handle, { endSessions: true }, context());
        expect([await list(target), idsOf(target)]).toEqual([[], [byHand.id]]);
        await issue(target, LATER, 2);
        expect(idsOf(target)).toContain(byHand.id);
      });

      it('is not taken for Rekey’s after an attempt that IAM refused, or whose key is ended', async () => {
        const refused = fresh();
        fake.denied.add('CreateAccessKey');
        await expect(issue(refused)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
        fake.denied.clear();
        fake.addKey(refused.user);
        const { target, first } = await interrupted('lost', calls('CreateAccessKey'));
        const orphan = (await list(target)).find(({ token }) => token === LATER);
        await awsIamProvider.revoke(target, orphan as CredentialHandle, { endSessions: true }, context());
        fake.addKey(target.user);
        expect([await list(refused), await list(target)]).toEqual([[], [first.handle]]);
      });

      it('is not taken for Rekey’s where it was there before the intent, or came long after', () => {
        const at = Date.parse('2026-01-01T12:00:00Z');
        const key = (id: string, seconds: number): AccessKey => ({
          id,
          active: true,
          createdAt: new Date(at + seconds * 1000).toISOString(),
        });
        const marks = readMarks([
          { key: 'rekey:intent', value: `2/${TOKEN}/${at / 1000}/AKIABEFORE+AKIAOTHER` },
        ]);
        const found = (...keys: AccessKey[]) => ownKeys(keys, marks).own.map(({ handle }) => handle.id);
        expect(found(key('AKIABEFORE', -3), key('AKIANEW', 1))).toEqual(['AKIANEW']);
        expect(found(key('AKIALONGBEFORE', -11))).toEqual([]);
        expect(found(key('AKIALONGAFTER', 31))).toEqual([]);
        expect(ownKeys([key('AKIAONE', 1), key('AKIATWO', 2)], marks)).toMatchObject({
          own: [],
          unclear: [{}, {}],
        });
      });

      it('is counted from a later generation where an earlier life of the credential has left it', async () => {
        const target = fresh();
        await issue(target, TOKEN, 7);
        await expect(issue(target, LATER, 1)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
        expect(await list(target)).toHaveLength(1);
      });
    });

    describe('tags of the user', () => {
      it('stay as they are where they are not Rekey’s, over several pages, and don’t pile up', async () => {
        const target = fresh();
        const { tags } = fake.user(target.user);
        for (let each = 0; each < 7; each++) tags.set(`team:${each}`, 'ours + theirs');
        let current = await issue(target);
        for (let generation = 2; generation < 8; generation++) {
          const next = await issue(target, TOKEN.replace('1', String(generation)), generation);
          await awsIamProvider.revoke(target, current.handle, { endSessions: false }, context());
          current = next;
        }
        expect([...tags.keys()].filter((tag) => tag.startsWith('rekey:'))).toHaveLength(2);
        expect([...tags.keys()].filter((tag) => tag.startsWith('team:'))).toHaveLength(7);
        expect(await list(target)).toEqual([current.handle]);
      });

      it('of keys that somebody has deleted go, but not of one that a listing doesn’t show yet', () => {
        const marks = readMarks([
          { key: 'rekey:key:AKIAGONE', value: `1/${TOKEN}` },
          { key: 'rekey:key:AKIANOTYET', value: `3/${TOKEN}` },
          { key: 'rekey:key:', value: 'of somebody else' },
          { key: 'rekey:stage', value: 'prod' },
        ]);
        expect(spentTags([], marks, 4)).toEqual(['rekey:key:AKIAGONE']);
      });

      it('that are full once a key is made are told, and the key is found again by the intent', async () => {
        const target = fresh();
        for (let each = 0; each < 49; each++) fake.user(target.user).tags.set(`team:${each}`, 'x');
        await expect(issue(target)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
        expect(await list(target)).toMatchObject([{ generation: 1, token: TOKEN }]);
      });

      it('that are full are told, and no key is made', async () => {
        const target = fresh();
        for (let each = 0; each < 50; each++) fake.user(target.user).tags.set(`team:${each}`, 'x');
        await expect(issue(target)).rejects.toMatchObject({
          code: 'ERR_CAPACITY',
          remedy: expect.stringContaining('50'),
        });
        expect(idsOf(target)).toEqual([]);
      });
    });

    describe('what IAM refuses', () => {
      it.each(['ListAccessKeys', 'TagUser', 'CreateAccessKey'])(
        'for lack of a right is named: %s',
        async (action) => {
          const target = fresh();
          fake.denied.add(action);
          const refused = await issue(target).catch((error: unknown) => error);
          fake.denied.clear();
          expect(refused).toMatchObject({ code: 'ERR_ADMIN_DENIED', field: 'target.user' });
          expect(String(refused)).toContain(`iam:${action}`);
          expect(JSON.stringify(refused)).not.toContain('quoted-by-the-upstream');
        },
      );

      it('for lack of a user is told of a declaration; a revocation there has nothing left to do', async () => {
        const target = { user: 'nobody' };
        await expect(awsIamProvider.preflight(target, context())).rejects.toMatchObject({
          code: 'ERR_NOT_FOUND',
        });
        const handle = { id: 'AKIALONGGONE00000000', generation: 1, token: TOKEN };
        const options = { endSessions: true, compromised: true };
        const done = await awsIamProvider.revoke(target, handle, options, context());
        expect([done.confirmed, await list(target)]).toEqual([true, []]);
      });

      it('for its rate is asked again; an answer in another form is an outage, and quoted nowhere', async () => {
        const target = fresh();
        const body = '<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>';
        fake.server.fail({ kind: 'reply', status: 400, body }, calls('ListAccessKeys'), 2);
        const issued = await issue(target);
        const busy = '<ErrorResponse><Error><Code>ConcurrentModification</Code></Error></ErrorResponse>';
        fake.server.fail({ kind: 'reply', status: 409, body: busy }, calls('UntagUser'), 2);
        await awsIamProvider.revoke(target, issued.handle, { endSessions: false }, context());
        const odd =
          '<R><AccessKeyMetadata><member><AccessKeyId>AKIA</AccessKeyId></member></AccessKeyMetadata></R>';
        fake.server.fail({ kind: 'reply', status: 200, body: odd }, calls('ListAccessKeys'));
        await expect(awsIamProvider.preflight(target, context())).rejects.toMatchObject({
          code: 'ERR_UNAVAILABLE',
          message: expect.not.stringContaining('AKIA'),
        });
      });
    });

    describe('a new key', () => {
      it('is activated once it was taken several times in a row', async () => {
        const target = fresh();
        fake.slowness = 3;
        const issued = await issue(target);
        fake.slowness = 0;
        await awsIamProvider.activate?.(target, TOKEN, issued, context());
        const seen = fake.server.asked.slice(-3).map(({ status }) => status);
        expect(seen).toEqual([200, 200, 200]);
      });

      it('that AWS does not take in time is tried again later', async () => {
        const target = fresh();
        fake.slowness = 1000;
        const issued = await issue(target);
        fake.slowness = 0;
        const activating = awsIamProvider.activate?.(target, TOKEN, issued, context());
        await expect(activating).rejects.toMatchObject({ code: 'ERR_NOT_PROPAGATED' });
      });

      it('must be of the declared user and account, whatever the secret says', async () => {
        const [target, other] = [fresh('/'), fresh()];
        const { id, secret } = fake.addKey(other.user);
        const foreign = new Redacted({ accessKeyId: id, secretAccessKey: secret });
        const verify = async (of: IamTarget, material: Redacted<IamMaterial>) =>
          awsIamProvider.verify(of, material, context());
        await expect(verify(target, foreign)).rejects.toMatchObject({ code: 'ERR_MATERIAL_MISMATCH' });
        await verify({ user: other.user.toUpperCase(), account: '111122223333' }, foreign);
        await expect(verify({ ...other, account: '999999999999' }, foreign)).rejects.toMatchObject({
          code: 'ERR_MATERIAL_MISMATCH',
          field: 'target.account',
        });
      });

      it('tells its last use, with the four hours that IAM may be behind', async () => {
        const target = fresh();
        const issued = await issue(target);
        const usage = async () => awsIamProvider.usage?.(target, issued.handle, context());
        expect(await usage()).toMatchObject({ lastSeen: null, lagSeconds: 14_400 });
        await takes(issued);
        expect(await usage()).toMatchObject({ lastSeen: expect.any(String) });
        await awsIamProvider.revoke(target, issued.handle, { endSessions: false }, context());
        expect(await usage()).toMatchObject({ lastSeen: null });
      });
    });

    describe('the uses of keys', () => {
      const hour = () => {
        const now = Date.now();
        return { from: toInstant(now - 1_800_000), to: toInstant(now + 1_800_000) };
      };

      it('are told by the last one alone, with its service and region, and cover no time', async () => {
        const target = fresh();
        const [used, unused] = [await issue(target), await issue(target, LATER, 2)];
        await takes(used);
        const ids = [used.handle.id, unused.handle.id];
        const told = await awsIamProvider.meter?.(target, ids, hour(), context());
        const at: unknown = expect.any(String);
        expect(told).toEqual({
          who: target.user,
          uses: [{ keyId: used.handle.id, from: at, to: at, scope: 'sts in eu-central-1' }],
          covers: [],
        });
        expect(told?.uses[0]?.from).toBe(told?.uses[0]?.to);
      });

      it('are told of no key that is gone or not asked about, and of no other time', async () => {
        const target = fresh();
        const [first, second] = [await issue(target), await issue(target, LATER, 2)];
        await takes(first);
        await takes(second);
        const usesOf = async (ids: readonly string[], span = hour()) =>
          (await awsIamProvider.meter?.(target, ids, span, context()))?.uses.map(({ keyId }) => keyId);
        expect(await usesOf([second.handle.id])).toEqual([second.handle.id]);
        const before = { from: toInstant(0), to: toInstant(Date.now() - 60_000) };
        expect(await usesOf([second.handle.id], before)).toEqual([]);
        await awsIamProvider.revoke(target, first.handle, { endSessions: false }, context());
        expect(await usesOf([first.handle.id, second.handle.id])).toEqual([second.handle.id]);
        fake.users.delete(target.user);
        expect(await usesOf([second.handle.id])).toEqual([]);
      });
    });

    describe('sessions of the user', () => {
      const compromised = { endSessions: true, compromised: true };
      const policiesOf = ({ user }: IamTarget): string[] => [...fake.user(user).policies.keys()];
      const soon = (): number => Date.now() + 20_000;

      it('are cut off in an emergency although they outlive the key; those of the replacement work', async () => {
        const target = fresh();
        fake.user(target.user).policies.set('ours', '{"Statement":[]}');
        const first = await issue(target);
        const session = fake.mint(target.user);
        expect(await fake.works(session)).toBe(true);
        const done = await awsIamProvider.revoke(target, first.handle, compromised, context());
        expect(done.confirmed).toBe(true);
        expect(await fake.works(session)).toBe(false);
        const second = await issue(target, LATER, 2);
        expect(await fake.works(second.material.reveal())).toBe(true);
        expect(await fake.works(fake.mint(target.user, soon()))).toBe(true);
        expect(policiesOf(target)).toContain('ours');
      });

      it('are cut off once for each key: a late repetition leaves those of the replacement alone', async () => {
        const target = fresh();
        const first = await issue(target);
        await awsIamProvider.revoke(target, first.handle, compromised, context());
        const before = policiesOf(target);
        const session = fake.mint(target.user, soon());
        const late = { ...context(), clock: () => Date.now() + 3_600_000 };
        await awsIamProvider.revoke(target, first.handle, compromised, late);
        expect([policiesOf(target), await fake.works(session)]).toEqual([before, true]);
      });

      it('are cut off by the repetition of a revocation that died after the key was ended', async () => {
        const target = fresh();
        const first = await issue(target);
        const session = fake.mint(target.user);
        fake.server.fail({ kind: 'reset' }, calls('PutUserPolicy'), 4);
        const dying = awsIamProvider.revoke(target, first.handle, compromised, context());
        await expect(dying).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
        fake.server.heal();
        expect([await takes(first), await fake.works(session)]).toEqual([false, true]);
        await awsIamProvider.revoke(target, first.handle, compromised, context());
        expect([await fake.works(session), idsOf(target)]).toEqual([false, []]);
      });

      it('go on where a key is retired, or a rotation undone', async () => {
        const target = fresh();
        const first = await issue(target);
        const second = await issue(target, LATER, 2);
        const session = fake.mint(target.user);
        await awsIamProvider.revoke(target, second.handle, { endSessions: true }, context());
        await awsIamProvider.revoke(target, first.handle, { endSessions: false }, context());
        expect([await fake.works(session), policiesOf(target)]).toEqual([true, []]);
      });

      it('leave a policy that is told of once they have all expired, and goes with the next emergency', async () => {
        const target = fresh();
        const first = await issue(target);
        await awsIamProvider.revoke(target, first.handle, compromised, context());
        const [spent] = policiesOf(target);
        const second = await issue(target, LATER, 2);
        await expect(awsIamProvider.preflight(target, context())).resolves.toEqual([]);
        const later = { ...context(), clock: () => Date.now() + 37 * 3_600_000 };
        const [notice] = await awsIamProvider.preflight(target, later);
        expect(notice?.remedy).toBe(
          `aws iam delete-user-policy --user-name ${target.user} --policy-name ${spent ?? ''}`,
        );
        await awsIamProvider.revoke(target, second.handle, compromised, later);
        expect(policiesOf(target)).toHaveLength(1);
        expect(policiesOf(target)).not.toContain(spent);
      });

      it('that no policy has room for are told, with the key ended all the same', async () => {
        const target = fresh();
        const first = await issue(target);
        fake.user(target.user).policies.set('large', 'x'.repeat(2000));
        const revoking = awsIamProvider.revoke(target, first.handle, compromised, context());
        await expect(revoking).rejects.toMatchObject({
          code: 'ERR_CAPACITY',
          remedy: expect.stringContaining('2,048'),
        });
        expect(await takes(first)).toBe(false);
      });
    });

    describe('a secret that exists', () => {
      it.each([
        ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
        ['aws_access_key_id', 'aws_secret_access_key'],
        ['AccessKeyId', 'SecretAccessKey'],
      ])('keeps the spelling %s', async (idField, valueField) => {
        const target = fresh();
        const { id, secret } = fake.addKey(target.user);
        const like = new Redacted(
          JSON.stringify({ [idField]: id, [valueField]: secret, region: 'eu-west-1' }),
        );
        const material = awsIamProvider.material(like);
        expect(await awsIamProvider.adoption?.identify(target, material, context())).toBe(id);
        const next = await issue(target);
        const { accessKeyId, secretAccessKey } = next.material.reveal();
        expect(JSON.parse(awsIamProvider.serialize(next.material, like).reveal())).toEqual({
          [idField]: accessKeyId,
          [valueField]: secretAccessKey,
          region: 'eu-west-1',
        });
      });

      it('may say the same key twice, which a rotation changes in both places, but not two keys', () => {
        const twice = { accessKeyId: 'AKIAONE0000000000000', secretAccessKey: 'one' };
        const text = (other: string) =>
          new Redacted(JSON.stringify({ ...twice, AWS_ACCESS_KEY_ID: other, AWS_SECRET_ACCESS_KEY: 'one' }));
        const next = new Redacted({ accessKeyId: 'AKIATWO0000000000000', secretAccessKey: 'two' });
        const changed = awsIamProvider.serialize(next, text(twice.accessKeyId)).reveal();
        expect(changed).not.toContain('one');
        expect(() => awsIamProvider.material(text('AKIAOTHER00000000000'))).toThrow(
          expect.objectContaining({ code: 'ERR_MATERIAL_MISMATCH' }),
        );
      });

      it('is not taken over while the user has two keys, nor where it is of a session', async () => {
        const target = fresh();
        fake.addKey(target.user);
        const other = fake.addKey(target.user);
        const report = (await awsIamProvider.adoption?.dependencies(target, context())) ?? [];
        expect(report).toMatchObject([{ severity: 'blocks', detail: expect.stringContaining(other.id) }]);
        const session = new Redacted({ accessKeyId: 'ASIAOFASESSION000000', secretAccessKey: 'x' });
        await expect(awsIamProvider.adoption?.identify(target, session, context())).rejects.toMatchObject({
          code: 'ERR_ADOPTION',
          remedy: expect.stringContaining('session'),
        });
      });

      it('of an earlier life counts on from a later generation', async () => {
        const target = fresh();
        const { handle, material } = await issue(target, TOKEN, 5);
        const adopt = async (generation: number) =>
          awsIamProvider.adoption?.adopt(
            target,
            LATER,
            { handle: { ...handle, generation }, material },
            context(),
          );
        await expect(adopt(1)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
        await adopt(1_800_000_000);
        expect(await list(target)).toEqual([{ id: handle.id, generation: 1_800_000_000, token: LATER }]);
      });
    });

    it('tells a declaration what is wrong with it', () => {
      const refuse = (target: object) => () => awsIamProvider.target(target);
      for (const [target, field] of [
        [{}, 'target.user'],
        [{ user: '/agents/shop' }, 'target.user'],
        [{ user: 'shop', account: '1' }, 'target.account'],
        [{ user: 'shop', label: 'x' }, 'target.label'],
      ] as const)
        expect(refuse(target)).toThrow(expect.objectContaining({ code: 'ERR_DECLARATION', field }));
      expect(awsIamProvider.identity?.({ user: 'Shop' })).toBe(awsIamProvider.identity?.({ user: 'shop' }));
    });

    it('can’t be reached by a function that was made without a way to AWS', async () => {
      const ctx = { ...context(), reach: { privateHosts: [] } };
      await expect(awsIamProvider.preflight(fresh(), ctx)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    });
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CredentialEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { planDue } from '../../shared/engine/plan.ts';
import { TAG } from '../../shared/names.ts';
import type { Vault } from '../../shared/ports/vault.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { COMMENT, Existing } from '../support/existing.ts';
import { ExistingKey } from '../support/existing-key.ts';
import { MODES } from '../support/explore.ts';
import type { FaultMode } from '../support/faulty.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** Applies as an operator would, repeating what fails for the moment. */
async function apply(one: EngineCase, declaration: CredentialEntry) {
  const answer = await one.repeating(() => one.tryRegister(declaration));
  await one.still();
  return answer;
}

async function refusalOf(one: EngineCase, declaration: CredentialEntry, dryRun = false): Promise<RekeyError> {
  const error = await one.tryRegister(declaration, dryRun).catch((caught: unknown) => caught);
  if (error instanceof RekeyError) return error;
  throw new Error('expected a refusal, and there was none');
}

async function observed(policy: object = {}): Promise<Existing> {
  const found = await Existing.make(world.newCase(policy));
  await apply(found.one, found.declared());
  return found;
}

async function adopted(mode: 'overlap' | 'enforce' = 'enforce', policy: object = {}): Promise<Existing> {
  const found = await observed(policy);
  await apply(found.one, found.declared(mode));
  return found;
}

/** `vault` with some of its methods replaced. */
function overridden(vault: Vault, methods: Partial<Vault>): Vault {
  return new Proxy(vault, {
    get: (target, key: keyof Vault) => methods[key] ?? target[key].bind(target),
  });
}

const shapeOf = (text: string): unknown[] =>
  Object.entries(JSON.parse(text) as object).map(([key, value]) =>
    ['username', 'password'].includes(key) ? key : [key, value],
  );

describe('a credential in mode observe', () => {
  test('is inventory: nothing at the upstream or of the secret is touched, and the value is fingerprinted', async () => {
    const found = await Existing.make(world.newCase());
    const before = await found.state();
    const { outcome } = await apply(found.one, found.declared());
    expect(outcome).toBe('registered');
    expect(await found.state()).toEqual(before);
    const { adoption, mode, live, current, byHand } = await found.one.credential();
    expect({ adoption, mode, live }).toEqual({ adoption: 'observed', mode: 'observe', live: [] });
    expect(current).toMatchObject({
      handle: { id: found.login, generation: 0 },
      fingerprint: expect.any(String),
    });
    expect(byHand).toContain(`ALTER ROLE "${found.login}" NOLOGIN`);
    expect(await found.one.actions()).toEqual(['observed']);
  });

  test('needs neither tags nor an administrative login; what it could not see is told', async () => {
    const found = await Existing.make(world.newCase(), { tagged: false });
    const { notices, credential } = await apply(found.one, found.declared('observe', { admin: undefined }));
    expect(notices?.map(({ message }) => message)).toEqual([expect.stringContaining('not tagged')]);
    expect(credential?.current).toBeUndefined();
    expect(credential?.adminSecret).toBeUndefined();
  });

  test('is unchanged when it is applied again, and follows its declaration, even in what is fixed later', async () => {
    const found = await observed();
    const records = await found.one.records();
    expect((await apply(found.one, found.declared())).outcome).toBe('unchanged');
    expect(await found.one.records()).toEqual(records);
    const holders = [{ kind: 'polling', name: 'fleet', ttl: '60s' }];
    expect((await apply(found.one, found.declared('observe', { holders }))).outcome).toBe('updated');
    const target = { ...found.one.declaration.target, users: [...found.one.target.users].toReversed() };
    expect((await apply(found.one, found.declared('observe', { target }))).outcome).toBe('updated');
    expect((await found.one.deps.ledger.list()).items).toHaveLength(1);
  });

  test('does not rotate, and says why', async () => {
    const found = await observed();
    await expect(found.one.requestRotation()).rejects.toMatchObject({ code: 'ERR_MODE', field: 'mode' });
  });

  test('is not revoked in an emergency: it fails, agents halt, and what to type stands in the audit', async () => {
    const found = await observed();
    const { one } = found;
    const before = await found.state();
    const execution = await one.startEmergency();
    await one.finished(execution);
    expect(execution.status).toBe('FAILED');
    expect(await found.state()).toEqual(before);
    const last = (await one.records()).at(-1);
    expect(last?.message).toBe('emergency-revocation-failed');
    expect(JSON.stringify(last)).toContain('ALTER ROLE');
    expect(one.published.map(({ detailType }) => detailType)).toContain('Agents Halt');
    const { status, adoption } = await one.credential();
    expect({ status, adoption }).toEqual({ status: 'active', adoption: 'observed' });
  });

  test('reports what depends on the login, where an administrative login is declared', async () => {
    const found = await Existing.make(world.newCase());
    const { notices } = await found.one.tryRegister(found.declared(), true);
    expect(notices?.map(({ message }) => message)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('CONNECTION LIMIT'),
        expect.stringContaining('privileges on'),
      ]),
    );
    expect((await found.one.deps.ledger.list()).items).toEqual([]);
  });
});

describe('a take-over', () => {
  test('changes neither value nor login, rotates nothing, and is recorded with intent and fact', async () => {
    const found = await observed();
    const { one } = found;
    const before = await found.state();
    const { outcome } = await apply(one, found.declared('enforce'));
    expect(outcome).toBe('updated');
    const after = await found.state();
    const { id, adoption, mode, current, live } = await one.credential();
    expect(after).toEqual({
      ...before,
      tags: { ...(before['tags'] as object), [TAG.credential]: id },
      rotation: one.functionArn,
      role: { ...(before['role'] as object), comment: expect.stringContaining(COMMENT) },
    });
    expect({ adoption, mode, live }).toEqual({
      adoption: 'adopted',
      mode: 'enforce',
      live: [current?.handle],
    });
    expect(current?.handle).toMatchObject({ id: found.login, generation: 1 });
    expect(await one.actions()).toEqual(['observed', 'adopt-intended', 'adopted']);
    expect(one.jobs().map((job) => job.kind)).toEqual(['test']);
    expect(await one.faults()).toEqual([]);
    expect((await apply(one, found.declared('enforce'))).outcome).toBe('unchanged');
  });

  test('at once, where another mode is declared from the start', async () => {
    const found = await Existing.make(world.newCase());
    await apply(found.one, found.declared('overlap'));
    expect(await found.one.actions()).toEqual(['observed', 'adopt-intended', 'adopted']);
    expect((await found.one.credential()).mode).toBe('overlap');
  });

  test('counts the age of a value from when it was stored: what is due by then is told, and rotates as planned', async () => {
    const found = await Existing.make(world.newCase());
    const { one } = found;
    const stored = one.time.now();
    // Rekey comes 100 days later; the policy wants a rotation every 30.
    one.time.jumpTo(stored + 100 * DAY);
    const { notices = [] } = await apply(one, found.declared());
    expect(notices.map(({ field }) => field)).toContain('policy.interval');
    const age = Date.parse((await one.credential()).current?.issuedAt ?? '') - stored;
    expect(Math.abs(age)).toBeLessThan(MINUTE);
    const planner = () =>
      one.time.work(() =>
        one.process((deps) =>
          planDue(deps, { maxStarts: 10, paceMs: 0, pause: async () => undefined, until: Infinity }),
        ),
      );
    expect(await planner()).toMatchObject({ started: [], recorded: [] });

    const taken = await apply(one, found.declared('enforce'));
    expect(taken.notices?.[0]?.message).toMatch(/stored at .*due since/);
    expect((await one.credential()).activeRotation).toBeUndefined();
    // Due like any other; nobody is paged for an age that was told.
    expect(await planner()).toMatchObject({ started: [await one.id()], recorded: [] });
    await one.settle();
    expect(await one.faults()).toEqual([]);
    expect((await one.credential()).current?.handle.id).not.toBe(found.login);
    expect(await one.actions()).not.toContain('rotation-overdue');
  });

  test('says nothing of the age of a value that is younger than its policy', async () => {
    const found = await Existing.make(world.newCase());
    const { notices = [] } = await apply(found.one, found.declared());
    expect(notices.map(({ field }) => field)).not.toContain('policy.interval');
  });

  test.each(MODES)('is completed by its repetition, whatever fails: %s', async (mode: FaultMode) => {
    const labels = await (async () => {
      const found = await observed();
      found.one.calls.arm();
      await apply(found.one, found.declared('enforce'));
      return found.one.calls.labels;
    })();
    expect(labels.length).toBeGreaterThanOrEqual(5);
    const wrong: string[] = [];
    await inParallel(
      labels.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const found = await observed();
        const { one } = found;
        one.calls.arm({ at, mode });
        await apply(one, found.declared('enforce'));
        one.calls.disarm();
        const faults = await one.faults();
        if (!one.calls.struck) faults.push('the fault never came');
        const actions = await one.actions();
        if (actions.filter((action) => action === 'adopted').length !== 1)
          faults.push('not adopted exactly once');
        if ((await found.state())['text'] !== JSON.stringify(found.secret)) faults.push('the value changed');
        await one.rotate();
        faults.push(...(await one.faults()));
        for (const what of faults) wrong.push(`${mode} call ${at} (${label}): ${what}`);
      },
    );
    expect(wrong).toEqual([]);
  });

  test.each(MODES)(
    'that is refused for good leaves everything as it was, whatever fails: %s',
    async (mode) => {
      const refusing = async (found: Existing): Promise<void> => {
        // The rotation function is not allowed to be configured: the last step before the fact.
        found.one.change = (deps) => ({
          ...deps,
          vault: overridden(deps.vault, {
            configureRotation: async () => {
              throw new RekeyError('ERR_FORBIDDEN', 'refused for the test');
            },
          }),
        });
        await one(found);
      };
      const one = async (found: Existing): Promise<void> => {
        const answer = await found.one
          .repeating(() => found.one.tryRegister(found.declared('enforce')))
          .catch((error: unknown) => error);
        expect(answer).toMatchObject({ code: 'ERR_FORBIDDEN' });
      };
      const dry = await observed();
      dry.one.calls.arm();
      await refusing(dry);
      const labels = dry.one.calls.labels;
      expect(labels).toContain('provider.release');
      const wrong: string[] = [];
      await inParallel(
        labels.map((label, index) => ({ label, at: index + 1 })),
        async ({ label, at }) => {
          const found = await observed();
          const before = await found.state();
          const head = await found.one.credential();
          found.one.calls.arm({ at, mode });
          await refusing(found);
          const after = await found.state();
          const { adoption, mode: now, live, current, secretArn } = await found.one.credential();
          if (JSON.stringify(after) !== JSON.stringify(before))
            wrong.push(`${mode} ${at} (${label}): ${JSON.stringify(after)}`);
          if (
            JSON.stringify([adoption, now, live, current, secretArn]) !==
            JSON.stringify(['observed', 'observe', [], head.current, undefined])
          )
            wrong.push(`${mode} ${at} (${label}): the head is ${adoption}/${now}`);
        },
      );
      expect(wrong).toEqual([]);
    },
  );

  test('is undone by mode observe where it was left half done', async () => {
    const found = await observed();
    const before = await found.state();
    found.one.calls.arm({ at: 'vault.configureRotation', mode: 'before' });
    await expect(found.one.tryRegister(found.declared('enforce'))).rejects.toThrow();
    found.one.calls.disarm();
    expect((await found.one.credential()).adoption).toBe('intended');
    await apply(found.one, found.declared());
    expect(await found.state()).toEqual(before);
    expect(await found.one.actions()).toEqual(['observed', 'adopt-intended', 'adoption-undone']);
    await apply(found.one, found.declared('enforce'));
    expect(await found.one.faults()).toEqual([]);
  });

  test('that an emergency interrupts gives the login to the emergency, which replaces it; applying again completes it', async () => {
    const found = await observed();
    const { one } = found;
    one.calls.arm({ at: 'vault.configureRotation', mode: 'before' });
    await expect(one.tryRegister(found.declared('enforce'))).rejects.toThrow();
    one.calls.disarm();
    const execution = await one.startEmergency();
    await one.finished(execution);
    expect(execution.status).toBe('SUCCEEDED');
    expect(await one.works({ user: found.login, password: String(found.secret['password']) })).toBe(false);
    const text = await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' });
    expect(shapeOf(text?.reveal() ?? '')).toEqual(shapeOf(JSON.stringify(found.secret)));
    await apply(one, found.declared('enforce'));
    expect((await one.credential()).adoption).toBe('adopted');
    expect(await one.faults()).toEqual([]);
    await one.rotate();
    expect(await one.faults()).toEqual([]);
  });
});

describe('an adopted credential', () => {
  test('rotates from its first login on, without a refused agent, and keeps the shape of its secret', async () => {
    const { one, secret, login } = await adopted();
    one.agents.start();
    await one.rotate();
    const text = (await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' }))?.reveal() ?? '';
    expect(shapeOf(text)).toEqual(shapeOf(JSON.stringify(secret)));
    expect(JSON.parse(text)).toMatchObject({ username: one.target.users[1] });
    expect(await one.works({ user: login, password: String(secret['password']) })).toBe(false);
    await one.rotate();
    expect(await one.faults()).toEqual([]);
    expect(one.agents.logins).toBeGreaterThan(20);
    expect((await one.login()).user).toBe(login);
  });

  test('gets the value of before back by a rollback of its first rotation', async () => {
    const { one, secret, login } = await adopted();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    const text = await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' });
    expect(text?.reveal()).toBe(JSON.stringify(secret));
    expect((await one.login()).user).toBe(login);
    await one.rotate();
    expect(await one.faults()).toEqual([]);
  });

  test('is revoked and replaced in an emergency, in the shape of its secret', async () => {
    const { one, secret, login } = await adopted();
    const execution = await one.startEmergency();
    await one.finished(execution);
    expect(execution.status).toBe('SUCCEEDED');
    expect(await one.works({ user: login, password: String(secret['password']) })).toBe(false);
    const text = (await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' }))?.reveal() ?? '';
    expect(shapeOf(text)).toEqual(shapeOf(JSON.stringify(secret)));
    expect(await one.faults()).toEqual([]);
  });

  test('goes from mode to mode without a rotation; what is under way when observe is declared ends with the old one kept', async () => {
    const found = await adopted('overlap');
    const { one } = found;
    for (const mode of ['enforce', 'overlap', 'observe', 'enforce'] as const) {
      await apply(one, found.declared(mode));
      await one.settle();
      expect((await one.credential()).mode).toBe(mode);
    }
    expect(one.jobs().filter((job) => job.kind !== 'test')).toEqual([]);
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await apply(one, found.declared('observe'));
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.actions()).toContain('kept');
    expect(await one.openSlots()).toEqual([...one.target.users]);
    await expect(one.requestRotation()).rejects.toMatchObject({ code: 'ERR_MODE' });
    expect((await one.credential()).adoption).toBe('adopted');
  });

  test('without a known holder is rotated, and its old login never retired', async () => {
    const found = await Existing.make(world.newCase());
    const declaration = found.declared('enforce', { holders: [] });
    await apply(found.one, declaration);
    const token = await found.one.requestRotation();
    await found.one.settle();
    expect((await found.one.rotation(token)).stuck).toBe(true);
    expect(await found.one.openSlots()).toEqual([...found.one.target.users]);
    expect(await found.one.actions()).toContain('window-held');
  });
});

describe('what can not be adopted is refused with field and remedy, and nothing is half done', () => {
  async function refused(found: Existing, declaration: CredentialEntry): Promise<RekeyError> {
    const before = await found.state();
    const error = await refusalOf(found.one, declaration);
    expect(error.remedy).toMatch(/\w/);
    expect(await found.state()).toEqual(before);
    const { items } = await found.one.deps.ledger.list();
    expect(items.filter(({ adoption }) => adoption !== 'observed')).toEqual([]);
    expect(JSON.stringify(error)).not.toContain(String(found.secret['password']));
    return error;
  }

  test('a secret without the tags: the remedy is the very command that sets them', async () => {
    const found = await Existing.make(world.newCase(), { tagged: false });
    const error = await refused(found, found.declared('enforce'));
    expect(error).toMatchObject({ code: 'ERR_ADOPTION', field: 'secret' });
    expect(error.remedy).toContain(
      `aws secretsmanager tag-resource --secret-id ${found.one.secret} --tags Key=rekey:type,Value=database Key=rekey:stage,Value=local`,
    );
    await found.tag();
    await apply(found.one, found.declared('enforce'));
  });

  test('a secret that is not there, is scheduled for deletion, or carries another credential’s tag', async () => {
    const found = await Existing.make(world.newCase());
    const { one } = found;
    const none = { ...found.declared(), secret: 'agents/none' };
    expect(await refusalOf(one, none)).toMatchObject({ code: 'ERR_NOT_FOUND', field: 'secret' });
    await one.deps.vault.tag(one.secret, { [TAG.credential]: 'another' });
    expect((await refused(found, found.declared())).message).toContain('another');
    await one.deps.vault.untag(one.secret, [TAG.credential]);
    await world.aws.json('secretsmanager', 'DeleteSecret', { SecretId: one.secret, RecoveryWindowInDays: 7 });
    expect((await refusalOf(one, found.declared())).remedy).toContain('restore-secret');
  });

  test('a secret that a service of AWS manages', async () => {
    const found = await Existing.make(world.newCase());
    found.one.change = (deps) => ({
      ...deps,
      vault: overridden(deps.vault, {
        describe: async (name: string) => {
          const described = await deps.vault.describe(name);
          return described && { ...described, owningService: 'rds' };
        },
      }),
    });
    expect((await refused(found, found.declared())).message).toContain('managed by rds');
  });

  test('a secret that another function rotates', async () => {
    const found = await Existing.make(world.newCase());
    const theirs = `${found.one.functionArn.replace(':live', '')}-theirs:live`;
    world.stack.gateway.functions.set(theirs, async () => undefined);
    await found.one.deps.vault.configureRotation(found.one.secret, theirs, 30);
    await found.one.still();
    const error = await refused(found, found.declared('overlap'));
    expect(error.remedy).toContain(`aws secretsmanager cancel-rotate-secret --secret-id ${found.one.secret}`);
  });

  test.each([
    ['a value that does not log in', { password: 'not-the-password' }, 'secret'],
    ['a value of another user', { username: 'somebody_else' }, 'target.users'],
    ['a value of another place', { host: 'db.example.com' }, 'host'],
    ['a value that holds its password twice', { dsn: 'SECRET' }, 'secret'],
    ['no login at all', { username: undefined }, 'secret'],
  ])('%s', async (_what, change, field) => {
    const found = await Existing.make(world.newCase());
    const text = JSON.stringify({ ...found.secret, ...change }).replace(
      'SECRET',
      `x:${String(found.secret['password'])}@`,
    );
    await world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: found.one.secret,
      SecretString: text,
    });
    const error = await refused(found, found.declared('enforce'));
    expect(error.field).toBe(field);
  });

  test('a login that a rotation could not keep, all reasons at once', async () => {
    const found = await Existing.make(world.newCase());
    await world.server.sql(`ALTER ROLE ${found.login} BYPASSRLS; GRANT pg_monitor TO ${found.login}`);
    const error = await refused(found, found.declared('enforce'));
    expect(error).toMatchObject({ code: 'ERR_ADOPTION', field: 'target' });
    expect(error.message).toContain('BYPASSRLS');
    expect(error.message).toContain('membership in pg_monitor');
  });

  test('an administrative login in another region, and adopt: true taken out or put in later', async () => {
    const found = await observed();
    const admin = 'arn:aws:secretsmanager:us-west-1:111122223333:secret:admin-AbCdEf';
    expect(await refusalOf(found.one, found.declared('enforce', { admin }))).toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'admin',
    });
    expect(await refusalOf(found.one, found.one.declaration)).toMatchObject({ field: 'adopt' });
    const made = await world.registered();
    expect(await refusalOf(made, { ...made.declaration, adopt: true })).toMatchObject({ field: 'adopt' });
  });

  test('a secret that another credential observes', async () => {
    const found = await observed();
    const twin = { ...found.declared(), name: `${found.one.name}-twin` };
    expect(await refusalOf(found.one, twin)).toMatchObject({
      code: expect.stringMatching(/SECRET_EXISTS|DECLARATION/),
    });
  });
});

describe('a key that a person made, at an upstream that has no place for a mark', () => {
  test('is observed without an administrative login, which could tell which key it is, and says so', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { notices, credential } = await apply(found.one, found.declared('observe', { admin: undefined }));
    expect(notices).toMatchObject([{ field: 'admin', remedy: expect.stringContaining('declare admin') }]);
    expect(credential?.current).toBeUndefined();
    expect(found.upstream.server.asked).toEqual([]);
  });

  test('is taken over as it is, and its first rotation makes a marked one beside it and ends it by its id', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { one, key } = found;
    await apply(one, found.declared('observe'));
    await apply(one, found.declared('enforce'));
    expect(await found.text()).toBe(key.value);
    expect(found.living()).toEqual({ names: ['made by hand'], isOldAlive: true });
    expect((await one.credential()).live.map(({ id }) => id)).toEqual([key.id]);
    await one.rotate();
    expect(found.living()).toEqual({
      names: [expect.stringMatching(`^rekey\\.${one.name}\\.2\\.`)],
      isOldAlive: false,
    });
    const [next] = found.upstream.keys.all.values();
    expect(await found.text()).toBe(next?.value);
  });

  test('is let live beside its successor in mode overlap, and counts there: no third is made', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { one } = found;
    await apply(one, found.declared('overlap'));
    await one.rotate();
    expect(found.living().names).toHaveLength(2);
    await one.rotate().catch(() => undefined);
    expect(found.living().names).toHaveLength(2);
    expect(found.living().isOldAlive).toBe(true);
  });

  test('dies in an emergency by the handle in the ledger, and another takes its place', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { one } = found;
    await apply(one, found.declared('enforce'));
    const execution = await one.startEmergency();
    await one.finished(execution);
    expect(execution.status).toBe('SUCCEEDED');
    const { names, isOldAlive } = found.living();
    expect([names.length, isOldAlive]).toEqual([1, false]);
    const [next] = found.upstream.keys.all.values();
    expect(await found.text()).toBe(next?.value);
  });

  test('is not called dead by the login of another account, and is by the one that has seen it, with nothing else left there', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { one, upstream, key } = found;
    await apply(one, found.declared('enforce'));
    await found.logInBy(upstream.admins.add('organization', 'of another one', 'sk-admin-').value);
    const show = upstream.keys.hide();
    const blind = await one.startEmergency('INC-1');
    await one.finished(blind);
    show();
    expect([blind.status, found.living().isOldAlive]).toEqual(['FAILED', true]);
    expect(await one.actions()).not.toContain('emergency-revoked');

    await found.logInBy(upstream.adminKey);
    upstream.keys.all.delete(key.id);
    const execution = await one.startEmergency('INC-1');
    await one.finished(execution);
    expect(execution.status).toBe('SUCCEEDED');
    expect(await one.actions()).toContain('emergency-revoked');
  });

  test('goes back as it was when the take-over is undone', async () => {
    await using found = await ExistingKey.make(world.newCase());
    const { one } = found;
    await apply(one, found.declared('observe'));
    const vault = overridden(one.deps.vault, {
      configureRotation: async () => Promise.reject(new RekeyError('ERR_REJECTED', 'no')),
    });
    one.change = (deps) => ({ ...deps, reach: { privateHosts: ['127.0.0.1'] }, vault });
    await refusalOf(one, found.declared('enforce'));
    expect((await one.credential()).adoption).toBe('observed');
    expect(found.living()).toEqual({ names: ['made by hand'], isOldAlive: true });
  });
});

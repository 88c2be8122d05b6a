import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveForEmergency } from '../../lambdas/control-api/emergency.ts';
import { eventsOf } from '../../shared/api/audit-events.ts';
import { checkChain } from '../../shared/domain/audit.ts';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { EVENT, TAG } from '../../shared/names.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { EngineWorld, inParallel, type EngineCase, type Login } from '../support/engine-world.ts';
import { Existing } from '../support/existing.ts';
import { MODES } from '../support/explore.ts';
import type { FaultMode } from '../support/faulty.ts';
import { isScheduled, paused, registerBeside, tryUnregister } from '../support/leaving.ts';
import { rotateByHand } from '../support/steps.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** Whatever keeps what was let go of from being its owner's alone, or from working. */
async function notLeft(one: EngineCase, before: Login): Promise<string[]> {
  const found: string[] = [];
  const secret = await one.deps.vault.describe(one.secret);
  if (secret === undefined) return ['the secret is gone'];
  const login = await one.login();
  if (login.user !== before.user || login.password !== before.password) found.push('the value was changed');
  if (!(await one.works(login))) found.push('the value does not log in');
  if (secret.rotationEnabled) found.push('a schedule points at Rekey');
  if (Object.values(secret.versions).some((stages) => stages.includes('AWSPENDING')))
    found.push('a label dangles');
  for (const tag of Object.keys(secret.tags)) if (tag.startsWith('rekey:')) found.push(`it is tagged ${tag}`);
  const { ledger } = one.deps;
  if ((await ledger.idByName(one.name)) !== undefined) found.push('the name is taken');
  if ((await ledger.idBySecret(one.secret)) !== undefined) found.push('the secret is reserved');
  const head = await ledger.unregistered(await one.id());
  if (head === undefined) return [...found, 'the chain has no head'];
  if ((await ledger.idByTarget(head.targetIdentity ?? '')) !== undefined)
    found.push('its users are reserved');
  if ((await ledger.list()).items.length > 0) found.push('the ledger lists it');
  const records = await one.records();
  for (const fault of checkChain(records, head)) found.push(`audit: ${JSON.stringify(fault)}`);
  const leaving = records.map(({ message }) => message).filter((action) => action.startsWith('unregister'));
  if (leaving.join() !== 'unregister-intended,unregistered') found.push(`the trail says ${leaving.join()}`);
  return found;
}

/** With something that Secrets Manager would take for a rotation under way. */
async function withDanglingLabel(): Promise<{ one: EngineCase; login: Login }> {
  const one = await world.registered();
  await one.id();
  const login = await one.login();
  await rotateByHand(one);
  return { one, login };
}

async function putPendingCopy(one: EngineCase): Promise<void> {
  await one.world.aws.json('secretsmanager', 'PutSecretValue', {
    SecretId: one.secret,
    SecretString: JSON.stringify(await one.login()),
    VersionStages: ['AWSPENDING'],
  });
}

const withoutDatabase: EngineCase['change'] = (deps) => ({
  ...deps,
  readAdmin: () => Promise.reject(new RekeyError('ERR_ADMIN_DENIED', 'the administrator is refused')),
});

/** An emergency that ends without having reached the database. */
async function revokedInVain(one: EngineCase): Promise<void> {
  one.change = withoutDatabase;
  const failed = await one.startEmergency('leak', { replace: false });
  await one.finished(failed);
  one.change = (deps) => deps;
  expect(failed.status).toBe('FAILED');
}

/** The calls of an unregistering, in their order. */
async function callsToLeave(): Promise<readonly string[]> {
  const one = await world.registered();
  await one.id();
  one.calls.arm();
  await tryUnregister(one);
  one.calls.disarm();
  return one.calls.labels;
}

describe('unregistering', () => {
  test('keeps value, login, secret and trail, and takes off what Rekey has put there', async () => {
    const { one, login } = await withDanglingLabel();
    await one.deps.vault.tag(one.secret, { team: 'orders' });
    const answer = await tryUnregister(one);
    expect(answer).toMatchObject({ outcome: 'unregistered', alive: [] });
    expect(await notLeft(one, login)).toEqual([]);
    expect((await one.deps.vault.describe(one.secret))?.tags).toEqual({ team: 'orders' });
  });

  test('asked for again is success by its id, and unknown by its name', async () => {
    const one = await world.registered();
    const id = await one.id();
    await tryUnregister(one);
    const records = await one.records();
    expect((await tryUnregister(one, id)).outcome).toBe('unchanged');
    await expect(tryUnregister(one)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', field: 'name' });
    expect(await one.records()).toEqual(records);
  });

  test('gives back name, users and, adopted, the secret: they register again and rotate', async () => {
    const one = await world.registered();
    await one.rotate();
    const rotated = await one.login();
    await one.id();
    await tryUnregister(one);
    expect(await notLeft(one, rotated)).toEqual([]);
    // The owner's consent is asked for anew, since the tags are gone.
    const adopted = parseEntry({
      ...one.declaration,
      adopt: true,
      mode: 'enforce',
      target: { ...one.declaration.target, users: one.target.users },
    });
    await expect(one.tryRegister(one.declaration)).rejects.toMatchObject({
      code: 'ERR_SECRET_EXISTS',
      remedy: expect.stringContaining('adopt: true'),
    });
    await expect(one.tryRegister(adopted)).rejects.toMatchObject({ code: 'ERR_ADOPTION', field: 'secret' });
    await one.deps.vault.tag(one.secret, { [TAG.type]: 'database', [TAG.stage]: 'local' });
    const login = await one.login();
    expect((await one.tryRegister(adopted)).outcome).toBe('registered');
    await one.still();
    expect(await one.login()).toEqual(login);
    const again = await one.deps.ledger.idByName(one.name);
    expect(again).not.toBe(await one.id());
  });

  test('of what was adopted leaves the tags of its owner; of what is observed, it touches nothing', async () => {
    const adopted = await Existing.make(world.newCase());
    await adopted.one.tryRegister(adopted.declared('enforce'));
    await adopted.one.still();
    await adopted.one.id();
    const login = await adopted.one.login();
    await tryUnregister(adopted.one);
    const tags = (await adopted.one.deps.vault.describe(adopted.one.secret))?.tags;
    expect(tags).toEqual({ team: 'orders', [TAG.type]: 'database', [TAG.stage]: 'local' });
    expect((await notLeft(adopted.one, login)).filter((each) => !each.startsWith('it is tagged'))).toEqual(
      [],
    );

    const observed = await Existing.make(world.newCase());
    const before = await observed.state();
    await observed.one.tryRegister(observed.declared('observe'));
    await tryUnregister(observed.one);
    expect(await observed.state()).toEqual(before);
    expect(await observed.one.deps.ledger.idByName(observed.one.name)).toBeUndefined();
  });

  test('names the logins that mode overlap has kept, which go on working', async () => {
    const one = world.newCase();
    await one.repeating(() => one.tryRegister(parseEntry({ ...one.declaration, mode: 'overlap' })));
    await one.still();
    const old = await one.login();
    await one.rotate();
    const { alive } = await tryUnregister(one);
    expect(alive.map(({ id }) => id)).toEqual([old.user]);
    expect([await one.works(old), await one.works(await one.login())]).toEqual([true, true]);
  });

  test('is refused while a rotation is under way, with the way out, and changes nothing', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const records = await one.records();
    const refused = { code: 'ERR_WINDOW_OPEN', message: expect.stringContaining(token) };
    await expect(tryUnregister(one)).rejects.toMatchObject({
      ...refused,
      remedy: expect.stringMatching(/roll/),
    });
    expect(await one.records()).toEqual(records);
    await paused(one);
    const remedy = expect.stringContaining(`rekey unpause ${one.name}`);
    await expect(tryUnregister(one, one.name, { dryRun: true })).rejects.toMatchObject({
      ...refused,
      remedy,
    });
    expect((await one.rotation(token)).phase).toBe('window');
  });

  test('is refused while an emergency runs; one that has ended without a replacement can be left', async () => {
    const one = await world.registered();
    const emergency = await one.startEmergency('leak', { replace: false });
    await one.finished(emergency);
    await expect(tryUnregister(one, one.name, { ended: undefined })).rejects.toMatchObject({
      code: 'ERR_MODE',
      field: 'status',
    });
    expect((await tryUnregister(one)).outcome).toBe('unregistered');
    expect(await isScheduled(one)).toBe(false);
    expect(await one.openSlots()).toEqual([]);
  });

  test('is refused before every side effect of an emergency that began after somebody looked for one', async () => {
    const one = await world.registered();
    const outcomes = new Set<string>();
    one.calls.between = async () => {
      const { incident } = await one.credential();
      if (incident === undefined || incident.stage === 'resumed') return;
      outcomes.add(
        await tryUnregister(one, one.name, { ended: undefined }).then(
          ({ outcome }) => outcome,
          (error: Error) => error.name,
        ),
      );
    };
    const emergency = await one.startEmergency();
    await one.finished(emergency);
    expect([emergency.status, ...outcomes]).toEqual(['SUCCEEDED', 'ERR_MODE']);
    expect(await one.faults()).toEqual([]);
  });

  test('is refused where an emergency could not end what works, until one has', async () => {
    const one = await world.registered();
    const login = await one.login();
    await revokedInVain(one);
    expect(await one.works(login)).toBe(true);
    await expect(tryUnregister(one)).rejects.toMatchObject({
      code: 'ERR_MODE',
      field: 'status',
      message: expect.stringContaining(`${login.user}#1`),
      remedy: expect.stringMatching(/--no-replace.*--unconfirmed/),
    });
    await one.finished(await one.startEmergency('again', { replace: false }));
    expect((await tryUnregister(one)).outcome).toBe('unregistered');
    expect(await one.works(login)).toBe(false);
  });

  test('of what an emergency could not end is done where that is accepted, and the trail names it', async () => {
    const one = await world.registered();
    const id = await one.id();
    const login = await one.login();
    await revokedInVain(one);
    const handle = { id: login.user, generation: 1 };
    const looked = await tryUnregister(one, one.name, { dryRun: true, unconfirmed: true });
    expect(looked).toMatchObject({ outcome: 'unregistered', alive: [], unconfirmed: [handle] });
    expect((await one.credential()).status).toBe('halted');

    one.calls.arm({ at: (await callsToLeave()).indexOf('ledger.commit') + 1, mode: 'after' });
    await expect(tryUnregister(one, one.name, { unconfirmed: true })).rejects.toThrow();
    one.calls.disarm();
    // Once it is let go of, its repetition accepts nothing anew; it tells of them all the same.
    expect(await tryUnregister(one)).toMatchObject({ outcome: 'unregistered', unconfirmed: [handle] });
    expect(await notLeft(one, login)).toEqual([]);
    expect(await tryUnregister(one, id)).toMatchObject({ outcome: 'unchanged', unconfirmed: [handle] });
    const intended = (await one.records()).find(({ message }) => message === 'unregister-intended');
    expect(intended?.entity.data).toMatchObject({ reason: 'moving the database' });
    expect(JSON.parse(intended?.entity.data.evidence ?? '')).toMatchObject({
      unconfirmed: [`${login.user}#1`],
    });
    expect(intended?.entity.data.evidence).not.toContain('keepsWorking');
    const told = eventsOf(await one.records()).find(({ action }) => action === 'unregistered');
    expect(told?.detail).toContain(`may go on working: ${login.user}#1`);
  });

  test('whatever was under way can be left though its database is gone: an emergency ends it first', async () => {
    const rotating = await world.registered();
    const token = await rotating.requestRotation();
    await rotating.until(({ phase }) => phase === 'window', token);
    const existing = await Existing.make(world.newCase());
    const adopting = existing.one;
    adopting.calls.arm({ at: 'vault.tag', mode: 'before' });
    await expect(adopting.tryRegister(existing.declared('enforce'))).rejects.toThrow();
    adopting.calls.disarm();
    expect((await adopting.credential()).adoption).toBe('intended');
    await expect(tryUnregister(adopting)).rejects.toMatchObject({ code: 'ERR_CONFLICT', field: 'mode' });

    for (const one of [rotating, adopting]) {
      await revokedInVain(one);
      await expect(tryUnregister(one)).rejects.toMatchObject({ code: 'ERR_MODE', field: 'status' });
      one.change = withoutDatabase;
      expect((await tryUnregister(one, one.name, { unconfirmed: true })).outcome).toBe('unregistered');
      one.change = (deps) => deps;
      expect([await one.deps.ledger.idByName(one.name), await isScheduled(one)]).toEqual([undefined, false]);
    }
  });

  test('is refused where an emergency has left a replacement half done, and says what ends that', async () => {
    const one = await world.registered();
    one.change = (deps) => ({
      ...deps,
      providerFor: async (...asked) => ({
        ...(await deps.providerFor(...asked)),
        verify: () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the database is gone')),
      }),
    });
    const failed = await one.startEmergency();
    await one.finished(failed);
    one.change = (deps) => deps;
    expect([failed.status, (await one.credential()).live]).toMatchObject(['FAILED', [{ generation: 3 }]]);
    for (const unconfirmed of [false, true]) {
      await expect(tryUnregister(one, one.name, { unconfirmed })).rejects.toMatchObject({
        code: 'ERR_MODE',
        field: 'status',
        message: expect.stringContaining('replacement half done'),
        remedy: expect.stringContaining('--no-replace'),
      });
    }
    await revokedInVain(one);
    expect((await tryUnregister(one, one.name, { unconfirmed: true })).unconfirmed).toMatchObject([
      { generation: 3 },
    ]);
  });

  test('changes nothing by accepting what nothing is unconfirmed of, and skips no other refusal', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    await expect(tryUnregister(one, one.name, { unconfirmed: true })).rejects.toMatchObject({
      code: 'ERR_WINDOW_OPEN',
    });
    await one.settle();
    const emergency = await one.startEmergency();
    await one.finished(emergency);
    const login = await one.login();
    const unseen = await world.registered();
    await revokedInVain(unseen);
    await expect(
      tryUnregister(unseen, unseen.name, { unconfirmed: true, ended: undefined }),
    ).rejects.toMatchObject({ code: 'ERR_MODE', message: expect.stringContaining('under way') });
    const answer = await tryUnregister(one, one.name, { unconfirmed: true });
    expect(answer).toMatchObject({ outcome: 'unregistered', alive: [], unconfirmed: [] });
    expect(await notLeft(one, login)).toEqual([]);
    const intended = (await one.records()).find(({ message }) => message === 'unregister-intended');
    expect(intended?.entity.data.evidence).not.toContain('unconfirmed');
  });

  test('is final for an emergency, also for one that finds no ledger but its copy', async () => {
    const one = await world.registered();
    const id = await one.id();
    await tryUnregister(one);
    const head = await one.deps.ledger.unregistered(id);
    const down = () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down'));
    const deps = {
      ...one.deps,
      ledger: Object.assign(Object.create(one.deps.ledger) as Ledger, { credential: down }),
      snapshots: { ...one.deps.snapshots, read: async () => head },
    };
    const emergency = { credentialId: id, incidentId: 'late', reason: 'leaked', actor: 'responder' };
    await expect(revokeNow(deps, emergency)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    const late = await one.startEmergency();
    await one.finished(late);
    expect(late.status).toBe('FAILED');
    expect(one.published.map(({ detailType }) => detailType)).not.toContain(EVENT.halt);
    expect(await one.works(await one.login())).toBe(true);
  });

  test('half done refuses an emergency, and one accepted before fails: both say what to type', async () => {
    const one = await world.registered();
    const id = await one.id();
    const login = await one.login();
    one.calls.arm({ at: 'ledger.release', mode: 'before' });
    await expect(tryUnregister(one)).rejects.toThrow();
    one.calls.disarm();
    const { ledger } = one.deps;
    const dies = `ALTER ROLE "${login.user}" NOLOGIN`;
    for (const named of [one.name, id]) {
      await expect(resolveForEmergency(ledger, [named])).rejects.toMatchObject({
        code: 'ERR_MODE',
        message: expect.stringContaining('is being let go of'),
        remedy: expect.stringMatching(new RegExp(`${dies}[\\s\\S]*rekey unregister ${one.name}`)),
      });
    }
    const accepted = await one.startEmergency();
    await one.finished(accepted);
    const ended = one.published.find(({ detailType }) => detailType === EVENT.emergency);
    expect(accepted.status).toBe('FAILED');
    expect(ended?.detail).toMatchObject({
      results: [{ credentialId: id, status: 'revocation-failed', byHand: expect.stringContaining(dies) }],
    });
    expect(one.published.map(({ detailType }) => detailType)).not.toContain(EVENT.halt);

    await tryUnregister(one);
    await expect(resolveForEmergency(ledger, [id])).rejects.toMatchObject({
      code: 'ERR_MODE',
      message: expect.stringContaining('was unregistered'),
      remedy: expect.stringContaining(dies),
    });
    await expect(resolveForEmergency(ledger, [one.name])).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await one.deps.vault.tag(one.secret, { [TAG.type]: 'database', [TAG.stage]: 'local' });
    const users = one.target.users;
    await one.tryRegister(
      parseEntry({
        ...one.declaration,
        adopt: true,
        mode: 'enforce',
        target: { ...one.declaration.target, users },
      }),
    );
    await one.still();
    // By hand, it would end what another credential holds now.
    const refusal = { code: 'ERR_MODE', remedy: expect.stringContaining(`rekey revoke ${one.name}`) };
    await expect(resolveForEmergency(ledger, [id])).rejects.toMatchObject(refusal);
  });

  test('between the look of an emergency and its intent lets the login die, and halts nobody', async () => {
    const dry = await world.registered();
    await dry.id();
    dry.calls.arm();
    await dry.finished(await dry.startEmergency());
    dry.calls.disarm();

    const one = await world.registered();
    const id = await one.id();
    const login = await one.login();
    const at = dry.calls.moments.indexOf('ledger.commit') + 1;
    one.calls.interlude = { at, act: async () => void (await tryUnregister(one)) };
    one.calls.arm();
    const emergency = await one.startEmergency();
    await one.finished(emergency);
    one.calls.disarm();
    expect([emergency.status, await one.works(login)]).toEqual(['FAILED', false]);
    expect(await one.deps.ledger.credential(id)).toBeUndefined();
    const ended = one.published.find(({ detailType }) => detailType === EVENT.emergency);
    expect(ended?.detail).toMatchObject({ results: [{ credentialId: id, status: 'record-failed' }] });
    expect(one.published.map(({ detailType }) => detailType)).not.toContain(EVENT.halt);
  });

  test('is followed by the manual revocation also where somebody else has its owner role, with other users', async () => {
    const one = await world.registered();
    const id = await one.id();
    const login = await one.login();
    await tryUnregister(one);
    const beside = await registerBeside(one);
    // To revoke that one would leave this login at work.
    const refused = resolveForEmergency(one.deps.ledger, [id]);
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_MODE',
      remedy: expect.stringContaining(`ALTER ROLE "${login.user}" NOLOGIN`),
    });
    await expect(refused).rejects.not.toMatchObject({ remedy: expect.stringContaining(beside) });
  });

  test('of a secret whose owner has taken the tags off says so, and lets go of nothing', async () => {
    const one = await world.registered();
    await one.deps.vault.untag(one.secret, [TAG.stage]);
    const refusal = { code: 'ERR_ADOPTION', field: 'secret', remedy: expect.stringContaining(TAG.stage) };
    await expect(tryUnregister(one)).rejects.toMatchObject(refusal);
    expect((await one.credential()).status).toBe('active');
    // Whoever deletes the secret leaves nothing to take off.
    await one.deps.vault.discard(one.secret);
    expect((await tryUnregister(one)).outcome).toBe('unregistered');
  });

  test('asked for several times at once is done once', async () => {
    const { one, login } = await withDanglingLabel();
    const answers = await Promise.allSettled([tryUnregister(one), tryUnregister(one), tryUnregister(one)]);
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect(await notLeft(one, login)).toEqual([]);
  });

  test('leaves no schedule and no label where an apply sets a schedule at that moment', async () => {
    const one = await world.registered();
    const id = await one.id();
    const login = await one.login();
    let outcome = '';
    one.calls.between = async (label) => {
      // As if the service's test of the schedule, on a copy of the value, were not over when the schedule goes again.
      if (label === 'vault.cancelRotation' && outcome === 'unregistered') await putPendingCopy(one);
      if (label !== 'vault.configureRotation' || outcome !== '') return;
      outcome = 'begun';
      ({ outcome } = await tryUnregister(one));
    };
    const declaration = parseEntry({ ...one.declaration, policy: { interval: '20d' } });
    await expect(one.tryRegister(declaration)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(outcome).toBe('unregistered');
    expect(await one.deps.ledger.credential(id)).toBeUndefined();
    expect(await notLeft(one, login)).toEqual([]);
  });

  test.each(MODES)('is completed by its repetition, whatever fails: %s', async (mode: FaultMode) => {
    const dry = (await withDanglingLabel()).one;
    dry.calls.arm();
    await tryUnregister(dry);
    dry.calls.disarm();
    const found: string[] = [];
    await inParallel(
      dry.calls.labels.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const { one, login } = await withDanglingLabel();
        const id = await one.id();
        const wrong: string[] = [];
        one.calls.arm({ at, mode });
        const first = await tryUnregister(one).catch((error: Error) => error);
        one.calls.disarm();
        const unfinished = (await one.deps.ledger.idByName(one.name)) !== undefined;
        if (first instanceof Error && (await one.deps.ledger.credential(id)) === undefined && unfinished) {
          const refusal = await one.tryRegister().then(
            ({ outcome }) => outcome,
            (error: Error) => error.name,
          );
          if (refusal !== 'ERR_MODE') wrong.push(`an apply meanwhile: ${refusal}`);
        }
        await tryUnregister(one, unfinished ? one.name : id);
        if (!one.calls.struck) wrong.push('the fault never came');
        wrong.push(...(await notLeft(one, login)));
        for (const what of wrong) found.push(`${mode} call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });

  test('with an emergency at any moment: either keeps the credential whole, or it is let go of', async () => {
    const dry = (await withDanglingLabel()).one;
    dry.calls.arm();
    await tryUnregister(dry);
    dry.calls.disarm();
    const found: string[] = [];
    await inParallel(
      dry.calls.moments.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const { one, login } = await withDanglingLabel();
        const id = await one.id();
        one.calls.interlude = {
          at,
          act: async () => {
            const known = await one.deps.ledger.credential(id);
            const emergency = await one.startEmergency();
            await one.finished(emergency);
            if (known !== undefined && emergency.status !== 'SUCCEEDED')
              found.push(`before call ${at} (${label}): the emergency ${emergency.status}`);
          },
        };
        one.calls.arm();
        await tryUnregister(one).catch((error: Error) => error);
        one.calls.disarm();
        await one.settle();
        if (!one.calls.struck) found.push(`before call ${at} (${label}): nobody came`);
        const kept = await one.deps.ledger.credential(id);
        if (kept !== undefined) {
          for (const what of await one.faults()) found.push(`before call ${at} (${label}): ${what}`);
        } else {
          const now = await one.login();
          const wrong = await notLeft(one, now);
          if (now.password !== login.password && (await one.works(login)))
            wrong.push('what was revoked works');
          for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
        }
      },
    );
    expect(found).toEqual([]);
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { candidatesOf } from '../../shared/domain/leak.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { deactivationOf, reportLeak, type LeakMatch } from '../../shared/engine/leak.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { realignAll } from '../../shared/engine/plan.ts';
import { matchesByHandle } from '../../shared/engine/signals/by-handle.ts';
import { TAG } from '../../shared/names.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';
import { EngineWorld, inParallel, type EngineCase, type Login } from '../support/engine-world.ts';
import { Existing } from '../support/existing.ts';
import { registerBeside, tryUnregister } from '../support/leaving.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** One report of a value that was found, as the API's function makes it. */
function report(
  one: EngineCase,
  value: string,
  { token = randomUUID(), dryRun = false } = {},
): Promise<readonly LeakMatch[]> {
  return one.time.work(() =>
    one.process((deps) =>
      reportLeak(
        { ...deps, deactivation: (ref) => deactivationOf(deps, ref), revocationsByHand },
        {
          fingerprints: candidatesOf(new Redacted(value)),
          incidentId: 'INC-9',
          reason: 'seen in a chat',
          actor: 'arn:responder',
          replace: true,
          token,
          dryRun,
        },
      ),
    ),
  );
}

const outcomes = async (one: EngineCase, value: string): Promise<string[]> =>
  (await report(one, value, { dryRun: true })).map(({ outcome }) => outcome);

const reports = async (one: EngineCase) =>
  (await one.records()).filter(({ message }) => message === 'leak-reported');

/** Collects, before each side effect from here on, every value of the secret that logs in and isn't known as live. */
function watch(one: EngineCase): { readonly missed: string[]; readonly seen: Set<string> } {
  const missed: string[] = [];
  const seen = new Set<string>();
  one.calls.between = async (label) => {
    for (const versionId of Object.keys(await one.labels())) {
      const login = await one.login({ versionId }).catch(() => undefined);
      if (login === undefined || !(await one.works(login))) continue;
      seen.add(login.password);
      const found = await one.foundLive(login);
      // It may have been ended while it was looked for.
      if (!found && (await one.works(login))) missed.push(`before ${label}: ${login.user} of ${versionId}`);
    }
  };
  return { missed, seen };
}

const STORIES: Readonly<Record<string, (one: EngineCase) => Promise<unknown>>> = {
  'a registration': async (one) => one.register(),
  'a rotation, and an emergency in the window of the next': async (one) => {
    await one.register();
    await one.rotate();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    await one.finished(await one.startEmergency());
    await one.settle();
  },
  'a rollback': async (one) => {
    await one.register();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'suspending', token);
    await one.requestRollback(token);
    await one.settle();
  },
  'mode overlap, which keeps the old one': async (one) => {
    await one.repeating(() => one.tryRegister(parseEntry({ ...one.declaration, mode: 'overlap' })));
    await one.settle();
    await one.rotate();
  },
};

describe('a value that works is found by its fingerprint', () => {
  test.each(Object.keys(STORIES))('before every side effect of %s', async (story) => {
    const one = world.newCase();
    const { missed, seen } = watch(one);
    await STORIES[story]?.(one);
    expect(missed).toEqual([]);
    expect(seen.size).toBeGreaterThan(0);
  });

  test('before every side effect of a take-over and of its first rotation, once it is observed', async () => {
    const found = await Existing.make(world.newCase());
    const { one } = found;
    await one.repeating(() => one.tryRegister(found.declared()));
    const { missed, seen } = watch(one);
    await one.repeating(() => one.tryRegister(found.declared('enforce')));
    await one.settle();
    await one.rotate();
    expect(missed).toEqual([]);
    expect(seen.size).toBe(2);
  });

  test('where a version without fingerprints has written its head, once the walk has come by', async () => {
    const one = await world.registered();
    const old = await one.login();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const now = await one.login();
    for (const { password } of [old, now]) {
      const [fingerprint = ''] = candidatesOf(new Redacted(password));
      await world.aws.json('dynamodb', 'DeleteItem', {
        TableName: 'ledger',
        Key: { pk: { S: `${one.tenant}#FP#${fingerprint}` }, sk: { S: await one.id() } },
      });
    }
    expect([await outcomes(one, old.password), await outcomes(one, now.password)]).toEqual([[], []]);
    const walk = () => one.time.work(() => one.process((deps) => realignAll(deps, Number.POSITIVE_INFINITY)));
    expect(await walk()).toMatchObject({ looked: 1, moved: 1 });
    expect(await walk()).toMatchObject({ looked: 1, moved: 0 });
    const both = [await outcomes(one, old.password), await outcomes(one, now.password)];
    expect(both).toEqual([['live'], ['live']]);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });
});

describe('a key that its upstream names', () => {
  const named = async (one: EngineCase, handle: string) => {
    const signal = { source: 'aws-health', id: '1', kind: 'leak', fingerprints: [], verified: true } as const;
    const observedAt = '2026-11-26T10:00:00.000Z';
    return one.process(({ ledger }) => matchesByHandle(ledger, { ...signal, observedAt, handle }, handle));
  };

  test('is found where mode overlap keeps it, and once nothing keeps it any more it is not', async () => {
    const one = world.newCase();
    await STORIES['mode overlap, which keeps the old one']?.(one);
    const { current, live } = await one.credential();
    const kept = live.find(({ id }) => id !== current?.handle.id);
    const [old] = await one.deps.ledger.rotations(await one.id(), 1);
    expect(kept?.id).toBe(old?.old?.handle.id);
    const found = await named(one, kept?.id ?? '');
    expect(found).toMatchObject([{ standing: 'live', key: { fingerprint: old?.old?.fingerprint } }]);
    expect(await named(one, current?.handle.id ?? '')).toMatchObject([
      { key: { fingerprint: current?.fingerprint } },
    ]);
    const emergency = await one.startEmergency('leak', { replace: false });
    await one.finished(emergency);
    expect(await named(one, kept?.id ?? '')).toEqual([]);
  });

  test('is found on both sides of a window', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    for (const { id } of (await one.credential()).live)
      expect(await named(one, id)).toMatchObject([{ standing: 'live', key: { handle: { id } } }]);
    await one.settle();
  });
});

describe('a leaked value', () => {
  test('that is current is revoked and replaced, and the report stands in the audit trail', async () => {
    const one = await world.registered();
    const leaked = await one.login();
    const token = randomUUID();
    const [match] = await report(one, JSON.stringify({ username: leaked.user, password: leaked.password }), {
      token,
    });
    expect(match).toMatchObject({ outcome: 'live', key: { credentialId: await one.id() } });
    const execution = one.machines.executions.get(token);
    if (execution === undefined) throw new Error('no emergency was started');
    await one.finished(execution);
    await one.settle();
    expect(await one.works(leaked)).toBe(false);
    expect(await one.faults()).toEqual([]);
    const [record, ...more] = await reports(one);
    expect(more).toEqual([]);
    expect(record).toMatchObject({
      actor: { user: { uid: 'arn:responder' } },
      metadata: { correlation_uid: token },
      entity: { data: { incident: 'INC-9', old_fingerprint: match?.key.fingerprint, deactivation: '' } },
    });
    expect(record?.entity.data.evidence).toContain('"outcome":"live"');
    expect(JSON.stringify(await one.records())).not.toContain(leaked.password);
  });

  test('that a rotation has ended is dead: the upstream is asked, the later generation in its slot works on', async () => {
    const one = await world.registered();
    const first = await one.login();
    await one.rotate();
    const [dead] = await report(one, first.password);
    expect(dead).toMatchObject({
      outcome: 'dead',
      deactivation: { detail: expect.stringContaining('may not') },
    });
    await one.rotate();
    const third = await one.login();
    expect(third.user).toBe(first.user);
    one.agents.start();
    const [reused] = await report(one, first.password);
    expect(reused).toMatchObject({
      outcome: 'dead',
      deactivation: { detail: expect.stringContaining('a later generation is in the role') },
    });
    await one.agents.probe('after the report');
    expect(await one.works(third)).toBe(true);
    expect(await one.faults()).toEqual([]);
    expect((await reports(one)).map(({ entity }) => entity.data.evidence)).toEqual([
      expect.stringContaining('"outcome":"dead"'),
      expect.stringContaining('"outcome":"dead"'),
    ]);
  });

  test('is live in a window, suspended, and kept by mode overlap', async () => {
    const found: string[] = [];
    const check = async (when: string, one: EngineCase, login: Login): Promise<void> => {
      const [outcome] = await outcomes(one, login.password);
      if (outcome !== 'live') found.push(`${when}: ${outcome}`);
    };
    await inParallel(['window', 'suspending', 'kept'] as const, async (when) => {
      const one = world.newCase();
      const mode = when === 'kept' ? 'overlap' : 'enforce';
      await one.repeating(() => one.tryRegister(parseEntry({ ...one.declaration, mode })));
      await one.settle();
      const old = await one.login();
      const token = await one.requestRotation();
      if (when === 'kept') await one.settle();
      else await one.until(({ phase }) => phase === when, token);
      await check(when, one, old);
      await check(`current, ${when}`, one, await one.login());
      await one.settle();
    });
    expect(found).toEqual([]);
  });

  test('that is not ours leaves no trace', async () => {
    const one = await world.registered();
    const before = await one.credential();
    expect(await report(one, 'a-password-of-somebody-else')).toEqual([]);
    expect(await one.credential()).toEqual(before);
  });

  test('of a credential that is only observed is not revoked, and what to type is said', async () => {
    const found = await Existing.make(world.newCase());
    await found.one.repeating(() => found.one.tryRegister(found.declared()));
    const before = await found.state();
    const [match] = await report(found.one, String(found.secret['password']));
    expect(match?.outcome).toBe('observed');
    expect(match?.credential?.byHand).toContain(`ALTER ROLE "${found.login}" NOLOGIN`);
    expect(await found.state()).toEqual(before);
    expect(await reports(found.one)).toHaveLength(1);
  });

  test('is dead only where the upstream says so: a login that somebody has opened again is not confirmed', async () => {
    const one = await world.registered();
    const old = await one.login();
    await one.rotate();
    await world.server.sql(`ALTER ROLE ${old.user} LOGIN PASSWORD '${old.password}'`);
    const [match] = await report(one, old.password);
    expect(match).toMatchObject({ outcome: 'not-confirmed', why: expect.stringContaining('may log in') });
    expect(await one.works(old)).toBe(true);
    await world.server.sql(`ALTER ROLE ${old.user} NOLOGIN`);
  });

  test('is not called dead where the upstream does not answer', async () => {
    const one = await world.registered();
    const old = await one.login();
    await one.rotate();
    const silent = new RekeyError('ERR_UNAVAILABLE', 'the database does not answer');
    for (const [error, said] of [
      [silent, 'does not answer'],
      [new TypeError('a defect'), 'TypeError'],
    ] as const) {
      one.change = (deps) => ({ ...deps, readAdmin: () => Promise.reject(error) });
      expect(await report(one, old.password)).toMatchObject([
        { outcome: 'not-confirmed', why: expect.stringContaining(said) },
      ]);
    }
  });

  test('whose report dies after it has started the emergency, and comes again and again, has one and one record', async () => {
    const one = await world.registered({ at: 'workflow.startEmergency', mode: 'after' });
    const leaked = await one.login();
    const token = randomUUID();
    await expect(report(one, leaked.password, { token })).rejects.toThrow('killed');
    one.calls.disarm();
    expect(await report(one, leaked.password, { token })).toMatchObject([{ outcome: 'live' }]);
    await one.settle();
    // Also where its emergency is over by then.
    expect(await report(one, leaked.password, { token })).toMatchObject([{ outcome: 'live' }]);
    expect([...one.machines.executions.keys()]).toEqual([token]);
    expect(await reports(one)).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
    expect(await outcomes(one, leaked.password)).toEqual(['dead']);
    // The replacement under the key of the emergency that made it: another start of that would revoke nothing.
    const replacement = await one.login();
    await expect(report(one, replacement.password, { token })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(await one.works(replacement)).toBe(true);
  });

  test('is revoked although the audit trail does not take the report', async () => {
    const one = await world.registered();
    const leaked = await one.login();
    one.change = (deps) => ({
      ...deps,
      ledger: new Proxy(deps.ledger, {
        get: (target, key: keyof Ledger) => (key === 'records' ? () => failing() : target[key].bind(target)),
      }),
    });
    expect(await report(one, leaked.password)).toMatchObject([{ outcome: 'live', unrecorded: true }]);
    one.change = (deps) => deps;
    await one.settle();
    expect(await one.works(leaked)).toBe(false);
    expect(await one.faults()).toEqual([]);
  });

  test('of a credential that is no longer registered is beyond Rekey, and what was known last is said', async () => {
    const one = await world.registered();
    const ended = await one.login();
    await one.rotate();
    const working = await one.login();
    await tryUnregister(one);
    for (const [{ password }, known] of [
      [ended, 'it had been ended before'],
      [working, 'it may have worked when Rekey let go of it'],
    ] as const) {
      const why = expect.stringMatching(`no longer registered.*${known}`);
      expect(await report(one, password)).toMatchObject([{ outcome: 'not-confirmed', why }]);
    }
  });

  test('of a former credential is not taken for that of who only has the same owner role now', async () => {
    const one = await world.registered();
    const former = await one.login();
    await tryUnregister(one);
    await registerBeside(one);
    const [match, ...others] = await report(one, former.password);
    expect(others).toEqual([]);
    expect(match).toMatchObject({
      outcome: 'not-confirmed',
      why: expect.stringContaining('no longer registered'),
    });
    expect(match).not.toHaveProperty('credential');
  });

  test('of before its secret was let go of and adopted again is asked for there, and what works is revoked', async () => {
    const one = await world.registered();
    const ended = await one.login();
    await one.rotate();
    const working = await one.login();
    const former = await one.id();
    await tryUnregister(one);
    await one.deps.vault.tag(one.secret, { [TAG.type]: 'database', [TAG.stage]: 'local' });
    const users = one.target.users;
    const adopted = (mode: string) =>
      parseEntry({ ...one.declaration, adopt: true, mode, target: { ...one.declaration.target, users } });
    await one.tryRegister(adopted('observe'));
    expect(await outcomes(one, ended.password)).toEqual(['dead']);
    expect(await outcomes(one, working.password)).toEqual(['observed']);
    await one.tryRegister(adopted('enforce'));
    await one.still();

    const heir = (await one.deps.ledger.idByName(one.name)) ?? '';
    expect(heir).not.toBe(former);
    const [dead, ...others] = await report(one, ended.password);
    expect(others).toEqual([]);
    expect(dead).toMatchObject({ outcome: 'dead', key: { credentialId: former }, credential: { id: heir } });
    const told = [];
    for await (const record of one.deps.ledger.records(heir))
      if (record.message === 'leak-reported') told.push(record.entity.data.old_fingerprint);
    expect(told).toEqual([dead?.key.fingerprint]);
    // Its owner opens the login of the former pair again: nobody may call it dead.
    await world.server.sql(`ALTER ROLE ${ended.user} LOGIN PASSWORD '${ended.password}'`);
    expect(await outcomes(one, ended.password)).toEqual(['not-confirmed']);
    await world.server.sql(`ALTER ROLE ${ended.user} NOLOGIN`);

    const live = await report(one, working.password);
    expect(live).toMatchObject([{ outcome: 'live', key: { credentialId: heir } }]);
    await one.settle();
    expect(await one.works(working)).toBe(false);
    expect(await outcomes(one, working.password)).toEqual(['dead']);
  });
});

/** Records that can't be read. */
function failing(): never {
  throw new Error('the ledger does not answer');
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dueOf, taskSince } from '../../shared/domain/calendar.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { goesAfter } from '../../shared/domain/order.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { orderOf } from '../../shared/engine/order.ts';
import { planDue, type PlanAnswer } from '../../shared/engine/plan.ts';
import { EVENT, TAG } from '../../shared/names.ts';
import { nameOf } from '../../shared/providers/http/mark.ts';
import { FakePineconeAccounts } from '../fakes/pinecone-accounts.ts';
import type { Asked } from '../fakes/upstream.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { RootCase } from '../support/root-case.ts';

/** The administrative credentials that Rekey itself uses (C9). */
let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const BUDGET = { maxStarts: 10, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
const plan = (one: EngineCase): Promise<PlanAnswer> =>
  one.time.work(() => one.process((deps) => planDue(deps, BUDGET)));
const count = async (one: EngineCase, action: string): Promise<number> =>
  (await one.actions()).filter((each) => each === action).length;
const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isRekeyError(error) ? error.code : String(error)),
  );

function bound(object: object, name: string | symbol): unknown {
  const found: unknown = Reflect.get(object, name);
  return typeof found === 'function' ? found.bind(object) : found;
}

describe('a service account of Pinecone that administers itself', () => {
  test('is replaced by a second one with its roles, which ends it; in an emergency it ends itself', async () => {
    const one = world.newCase();
    await using root = await RootCase.make(one);
    await using fake = await FakePineconeAccounts.start();
    const place = { baseUrl: fake.server.url, loginUrl: fake.server.url };
    await root.put({ ...fake.secret(fake.owner), ...place, note: 'of the platform team' });
    const target = { label: one.name, roles: ['OrgOwner'], ...place };
    await one.repeating(() =>
      one.tryRegister(root.declared({ provider: 'pinecone-service-account', target })),
    );
    await one.settle();
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    const text = (await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' }))?.reveal() ?? '{}';
    const { clientSecret, ...rest } = JSON.parse(text) as { clientId: string; clientSecret: string };
    expect([await fake.takes(fake.owner.value), await fake.takes(clientSecret)]).toEqual([false, true]);
    expect(rest).toEqual({ clientId: expect.any(String), ...place, note: 'of the platform team' });
    expect(JSON.stringify(await one.records())).not.toContain(clientSecret);

    await one.finished(await one.startEmergency('INC-1'));
    expect([await fake.takes(clientSecret), fake.keys.all.size]).toEqual([false, 0]);
    expect((await one.credential()).status).toBe('halted');
  });
});

describe('an admin key that Rekey rotates', () => {
  async function registered(changes: object = {}): Promise<RootCase> {
    const root = await RootCase.make(world.newCase());
    await root.one.repeating(() => root.one.tryRegister(root.declared(changes)));
    await root.one.settle();
    return root;
  }

  test('is taken over as it is, with owner, scope and Rekey as its holder', async () => {
    await using root = await registered();
    expect(await root.login()).toBe(root.upstream.adminKey);
    const { status, mode, holders, root: terms } = await root.one.credential();
    expect({ status, mode, terms }).toEqual({
      status: 'active',
      mode: 'enforce',
      terms: { owner: 'platform', scope: 'API keys of the project shop' },
    });
    expect(holders).toEqual([{ kind: 'polling', name: 'rekey', ttlSeconds: 300 }]);
  });

  test('makes its successor, which ends it once no function can hold it any more', async () => {
    await using root = await registered();
    const { one } = root;
    const old = await root.login();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const next = await root.login();
    expect(next).not.toBe(old);
    expect([await root.takes(old), await root.takes(next)]).toEqual([true, true]);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect([await root.takes(old), await root.takes(next)]).toEqual([false, true]);
    const [kept] = [await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' })];
    expect(JSON.parse(kept?.reveal() ?? '')).toMatchObject({ note: 'of the platform team' });
    expect(JSON.stringify(await one.records())).not.toContain(next);
  });

  test('leads back to the old one in a rollback', async () => {
    await using root = await registered();
    const { one } = root;
    const old = await root.login();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const next = await root.login();
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect([await root.login(), await root.takes(old), await root.takes(next)]).toEqual([old, true, false]);
  });

  test('ends itself in an emergency; nothing replaces it until a person has, and then it rotates again', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const leaked = await root.login();
    const execution = await one.startEmergency('INC-1');
    await one.finished(execution);
    expect(await root.takes(leaked)).toBe(false);
    expect(await one.actions()).toEqual(expect.arrayContaining(['emergency-revoked', 'replacement-failed']));
    const halted = await one.credential();
    expect(halted.status).toBe('halted');

    expect(await codeOf(root.confirm())).toBe('ERR_CONFLICT');
    await root.put('sk-admin-mistyped');
    expect(await codeOf(root.confirm())).not.toBe('done');
    expect((await one.credential()).status).toBe('halted');

    const { value } = upstream.admins.add('organization', 'by hand', 'sk-admin-');
    await root.put(value);
    expect((await root.confirm(true)).outcome).toBe('confirmed');
    expect((await one.credential()).status).toBe('halted');
    expect((await root.confirm()).outcome).toBe('confirmed');
    expect((await root.confirm().catch((error: unknown) => error)) as object).toMatchObject({
      code: 'ERR_REQUEST',
    });
    const { status, incident, live, current } = await one.credential();
    expect({ status, stage: incident?.stage, live }).toEqual({
      status: 'active',
      stage: 'resumed',
      live: [current?.handle],
    });
    expect(current?.handle.generation).toBeGreaterThan(halted.incident?.generation ?? Infinity);
    expect(current?.handle.seenBy, 'who has seen it').toMatch(/^sha256:/);

    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect([await root.takes(value), await root.takes(await root.login())]).toEqual([false, true]);
  });

  test('takes both keys of an open window with it, its own login last; the same again is success', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const old = await root.login();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    await one.finished(await one.startEmergency('INC-1'));
    expect([await root.takes(old), await root.takes(await root.login())]).toEqual([false, false]);
    expect(upstream.admins.all.size).toBe(0);
    expect(await one.actions()).toContain('emergency-revoked');
    await one.finished(await one.startEmergency('INC-2'));
    expect(await count(one, 'emergency-revocation-failed')).toBe(0);
  });

  test('takes the successor with it that functions log in with already, also before the ledger has heard of that', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const old = await root.login();
    const { change } = one;
    let isMoved = false;
    // Whoever moves the label dies before it says so.
    one.change = (deps) => {
      const changed = change(deps);
      const promote: typeof deps.vault.promote = async (secret, move) => {
        await deps.vault.promote(secret, move);
        isMoved = true;
        throw new Error('killed');
      };
      const vault = new Proxy(deps.vault, {
        get: (real, name) => (name === 'promote' ? promote : bound(real, name)),
      });
      return { ...changed, vault };
    };
    const token = await one.requestRotation();
    await one.until(() => isMoved, token);
    one.change = change;
    const next = await root.login();
    expect([next === old, await root.takes(next)]).toEqual([false, true]);
    await one.finished(await one.startEmergency('INC-1'));
    expect([await root.takes(old), await root.takes(next)]).toEqual([false, false]);
    expect(upstream.admins.all.size).toBe(0);
    expect(await one.actions()).toContain('emergency-revoked');
  });

  test('is not taken for ended where its secret holds a value that is dead, until the one that works is in it again', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    await one.rotate();
    const leaked = await root.login();
    for (const dead of [upstream.adminKey, 'sk-admin-mistyped']) {
      await root.put(dead);
      await one.finished(await one.startEmergency('INC-1'));
      expect(await root.takes(leaked)).toBe(true);
    }
    expect(await count(one, 'emergency-revoked')).toBe(0);
    expect(await count(one, 'emergency-revocation-failed')).toBeGreaterThan(0);
    await root.put(leaked);
    await one.finished(await one.startEmergency('INC-2'));
    expect([await root.takes(leaked), await count(one, 'emergency-revoked')]).toEqual([false, 1]);
  });

  /** An emergency while the ledger is down, by a copy of the head. */
  const revoked = async (one: EngineCase, copy: Credential): Promise<string> => {
    const id = await one.id();
    one.change = (deps) => {
      const down = (): Promise<never> =>
        Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down'));
      const ledger = new Proxy(deps.ledger, { get: () => down });
      const reach = { privateHosts: ['127.0.0.1'] };
      return { ...deps, ledger, snapshots: { read: async () => copy, spool: async () => undefined }, reach };
    };
    const about = {
      credentialId: id,
      incidentId: 'INC-1',
      emergencyId: 'run-1',
      reason: 'test',
      actor: 'test',
    };
    return codeOf(one.process(async (deps) => revokeNow(deps, about)));
  };
  const deleted = ({ upstream }: RootCase): string[] =>
    upstream.server.asked.flatMap(({ method, path }) =>
      method === 'DELETE' ? [path.split('/').at(-1) ?? ''] : [],
    );

  test('goes last in an emergency without the ledger, by a copy that is older than the rotation', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const copy = await one.credential();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const { current } = await one.credential();
    const older = copy.current?.handle.id ?? '';

    upstream.server.fail({ kind: 'reply', status: 503 }, ({ method, path }) => {
      return method === 'DELETE' && path.endsWith(older);
    });
    expect(await revoked(one, copy)).toBe('ERR_UNAVAILABLE');
    expect(await root.takes(await root.login()), 'while the older one lives').toBe(true);

    expect(await revoked(one, copy)).toBe('done');
    expect(deleted(root)).toEqual([older, older, current?.handle.id]);
    expect(upstream.admins.all.size).toBe(0);
  });

  test('goes last there also where an even newer one waits, which nobody has got yet', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const copy = await one.credential();
    await one.rotate();
    const { handle: login } = (await one.credential()).current ?? {};
    const mark = nameOf({ label: one.name, generation: 9, token: randomUUID() });
    const { id: waiting } = upstream.admins.add('organization', mark, 'sk-admin-');
    expect(await revoked(one, copy)).toBe('done');
    expect(deleted(root)).toContain(waiting);
    expect(deleted(root).at(-1)).toBe(login?.id);
    expect(upstream.admins.all.size).toBe(0);
  });

  test('is spared there for as long as nobody can tell which one it is', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const copy = await one.credential();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    const isList = ({ method, path }: Asked): boolean => method === 'GET' && path.endsWith('/admin_api_keys');
    upstream.server.fail({ kind: 'reply', status: 503 }, isList, 50);
    expect(await revoked(one, copy)).toBe('ERR_UNAVAILABLE');
    expect([deleted(root), await root.login()].flat()).toEqual([
      copy.current?.handle.id,
      [...upstream.admins.all.values()][0]?.value,
    ]);
    upstream.server.heal();
    expect(await revoked(one, copy)).toBe('done');
    expect(upstream.admins.all.size).toBe(0);
  });

  test('is replaced at once where another root administers it', async () => {
    const one = world.newCase();
    await using root = await RootCase.make(one);
    const keeper = root.upstream.admins.add('organization', 'keeper', 'sk-admin-');
    await root.create(`${one.secret}-keeper`, keeper.value);
    await one.repeating(() => one.tryRegister(root.declared({ admin: `${one.secret}-keeper` })));
    await one.settle();
    const leaked = await root.login();
    await one.finished(await one.startEmergency('INC-1'));
    expect((await one.credential()).status).toBe('active');
    expect([await root.takes(leaked), await root.takes(await root.login())]).toEqual([false, true]);
    expect(await root.takes(keeper.value)).toBe(true);
  });

  test('leaves no orphan where nothing replaces it and a rotation died in its creation', async () => {
    const one = world.newCase();
    await using root = await RootCase.make(one);
    const { admins } = root.upstream;
    const keeper = admins.add('organization', 'keeper', 'sk-admin-');
    await root.create(`${one.secret}-keeper`, keeper.value);
    await one.repeating(() => one.tryRegister(root.declared({ admin: `${one.secret}-keeper` })));
    await one.settle();
    const { generation } = await one.credential();
    const orphan = nameOf({ label: one.name, generation: generation + 1, token: randomUUID() });
    const { change } = one;
    // What it had asked for comes to be once the agents are told to halt, which is after the revocation.
    one.change = (deps) => {
      const changed = change(deps);
      const publish: typeof deps.events.publish = async (type, detail) => {
        if (type === EVENT.halt) admins.add('organization', orphan, 'sk-admin-');
        await changed.events.publish(type, detail);
      };
      return { ...changed, events: { publish } };
    };
    const execution = await one.startEmergency('INC-1', { replace: false });
    await one.finished(execution);
    expect([execution.status, [...admins.all.keys()]]).toEqual(['SUCCEEDED', [keeper.id]]);
    const told = (await one.records()).filter(({ message }) =>
      /^emergency-(intended|revoked)$/.test(message),
    );
    expect(
      told.map(({ message, entity: { data } }) => [message, data.deactivation, data.evidence ?? '']),
    ).toEqual([
      ['emergency-intended', '', expect.anything()],
      ['emergency-revoked', 'CONFIRMED', expect.stringContaining('"revocation"')],
      ['emergency-intended', '', expect.stringContaining('"late"')],
      ['emergency-revoked', 'CONFIRMED', expect.stringMatching(/"late".*"confirmed":true/)],
    ]);
  });

  test('is not taken for replaced by a value that only looks like one of its keys', async () => {
    const one = world.newCase();
    await using root = await RootCase.make(one);
    const { admins } = root.upstream;
    await root.create(`${one.secret}-keeper`, admins.add('organization', 'keeper', 'sk-admin-').value);
    await one.repeating(() => one.tryRegister(root.declared({ admin: `${one.secret}-keeper` })));
    await one.settle();
    await one.finished(await one.startEmergency('INC-1', { replace: false }));
    const { value } = admins.add('organization', 'by hand', 'sk-admin-');
    await root.put(`${value.slice(0, 10)}mistyped${value.slice(-4)}`);
    expect(await codeOf(root.confirm())).toBe('ERR_REJECTED');
    expect((await one.credential()).status).toBe('halted');
    await root.put(value);
    expect((await root.confirm()).outcome).toBe('confirmed');
  });

  test('is not taken for replaced by hand where its replacement has failed and may live', async () => {
    const one = world.newCase();
    await using root = await RootCase.make(one);
    const { upstream } = root;
    const keeper = upstream.admins.add('organization', 'keeper', 'sk-admin-').value;
    await root.create(`${one.secret}-keeper`, keeper);
    await one.repeating(() => one.tryRegister(root.declared({ admin: `${one.secret}-keeper` })));
    await one.settle();
    const isMaking = ({ method, path }: Asked): boolean =>
      method === 'POST' && path.endsWith('/admin_api_keys');
    upstream.server.fail({ kind: 'reply', status: 503 }, isMaking, 50);
    await one.finished(await one.startEmergency('INC-1'));
    upstream.server.heal();
    await root.put(upstream.admins.add('organization', 'by hand', 'sk-admin-').value);
    const refused = await root.confirm().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'ERR_CONFLICT', field: 'name' });
    expect(String((refused as { remedy?: string }).remedy)).toContain('start the emergency again');
    expect((await one.credential()).status).toBe('halted');
    await one.finished(await one.startEmergency('INC-1', { replace: false }));
    expect((await root.confirm()).outcome).toBe('confirmed');
  });

  test('keeps what it administers waiting for as long as it is revoked', async () => {
    await using root = await registered();
    const { one } = root;
    await one.finished(await one.startEmergency('INC-1'));
    const dependant = { ...(await one.credential()), id: 'another', name: 'shop', adminSecret: one.secret };
    const { obstacles } = await orderOf(one.deps, { ...dependant, status: 'active' });
    expect(goesAfter(dependant, obstacles, 0)).toBe(
      `its administrative login ${one.name} is revoked and not replaced yet`,
    );
  });

  test('is not taken over without the tag by which nobody takes it for a secret of agents', async () => {
    await using root = await RootCase.make(world.newCase());
    await root.one.deps.vault.untag(root.one.secret, [TAG.admin]);
    const refused = await root.one.tryRegister(root.declared()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'ERR_ADOPTION', field: 'secret' });
    expect(String((refused as { remedy?: string }).remedy)).toContain('Key=rekey:admin,Value=root');
  });
});

describe('an administrative credential that a person replaces', () => {
  async function registered(changes: object = {}): Promise<RootCase> {
    const root = await RootCase.make(world.newCase());
    await root.one.repeating(() => root.one.tryRegister(root.byHand(changes)));
    return root;
  }

  test('whose secret is tagged later has its date from then on, and no replacement is recorded that never was', async () => {
    await using root = await RootCase.make(world.newCase());
    const { one } = root;
    await one.deps.vault.untag(one.secret, [TAG.type, TAG.stage]);
    await one.tryRegister(root.byHand());
    expect(await one.credential()).not.toHaveProperty('current');
    await one.deps.vault.tag(one.secret, { [TAG.type]: 'root', [TAG.stage]: 'local' });
    await expect(root.confirm()).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      remedy: expect.stringContaining('apply its entry again') as string,
    });
    for (const outcome of ['updated', 'unchanged']) {
      expect(await one.tryRegister(root.byHand())).toMatchObject({ outcome });
    }
    expect(taskSince(await one.credential())).toBeDefined();
    expect(await count(one, 'observed')).toBe(2);
    expect(await count(one, 'task-confirmed')).toBe(0);
    await expect(root.confirm()).resolves.toMatchObject({ outcome: 'unchanged' });
  });

  async function reach(one: EngineCase, when: 'task' | 'deadline'): Promise<void> {
    const credential = await one.credential();
    const instant = when === 'task' ? taskSince(credential) : dueOf(credential)?.deadline;
    one.time.jumpTo(Date.parse(instant ?? ''));
  }

  test('is on record with the age of its value, and never rotated, revoked or changed by Rekey', async () => {
    await using root = await registered();
    const { one } = root;
    const { mode, current, adoption } = await one.credential();
    expect({ mode, adoption }).toEqual({ mode: 'observe', adoption: 'observed' });
    expect(current?.fingerprint).toMatch(/^sha256:/);
    expect(await codeOf(one.requestRotation())).toBe('ERR_MODE');
    expect(await root.takes(await root.login())).toBe(true);
  });

  test('is announced to its owner a week before, and pages once on its date', async () => {
    await using root = await registered({ policy: { interval: '60d' } });
    const { one } = root;
    const { deadline = '' } = dueOf(await one.credential()) ?? {};
    await plan(one);
    expect(await count(one, 'task-announced')).toBe(0);
    await reach(one, 'task');
    expect((Date.parse(deadline) - one.time.now()) / 86_400_000).toBeCloseTo(7, 2);
    for (let run = 0; run < 2; run++) await plan(one);
    expect(await count(one, 'task-announced')).toBe(1);
    expect(await count(one, 'rotation-overdue')).toBe(0);
    await reach(one, 'deadline');
    for (let run = 0; run < 2; run++) await plan(one);
    const told = (await one.records()).filter(({ message }) => /task-|overdue/.test(message));
    expect(told.map((record) => [record.message, eventOf(record)?.detailType])).toEqual([
      ['task-announced', 'Credential Rotation Announced'],
      ['rotation-overdue', 'Credential Expiring'],
    ]);
    for (const { entity } of told)
      expect(JSON.parse(entity.data.evidence)).toMatchObject({ owner: 'platform' });
  });

  test('is done once the secret has another value, not before; then its interval begins anew', async () => {
    await using root = await registered();
    const { one, upstream } = root;
    const before = await one.credential();
    expect((await root.confirm()).outcome).toBe('unchanged');
    await reach(one, 'deadline');
    await plan(one);
    expect(await codeOf(root.confirm())).toBe('ERR_CONFLICT');
    // The same value in other words is no other.
    await root.put(upstream.adminKey);
    expect(await codeOf(root.confirm())).toBe('ERR_CONFLICT');

    await root.put(upstream.admins.add('organization', 'by hand', 'sk-admin-').value);
    expect((await root.confirm()).outcome).toBe('confirmed');
    const after = await one.credential();
    expect(after.current?.fingerprint).not.toBe(before.current?.fingerprint);
    const [record] = (await one.records()).filter(({ message }) => message === 'task-confirmed');
    expect(record?.entity.data).toMatchObject({
      old_fingerprint: before.current?.fingerprint,
      new_fingerprint: after.current?.fingerprint,
    });
    expect(record?.actor.user.uid).toContain('user/operator');
    expect(JSON.parse(record?.entity.data.evidence ?? '')).toMatchObject({
      owner: 'platform',
      overdue: true,
    });
  });

  test('may be confirmed again, and changes nothing more by it', async () => {
    await using root = await registered();
    await root.put(root.upstream.admins.add('organization', 'by hand', 'sk-admin-').value);
    expect((await root.confirm()).outcome).toBe('confirmed');
    expect((await root.confirm()).outcome).toBe('unchanged');
    expect(await count(root.one, 'task-confirmed')).toBe(1);
  });

  test('has its declaration recorded where owner, scope or interval change', async () => {
    await using root = await registered();
    const changed = root.byHand({ owner: 'security', policy: { interval: '30d' } });
    const { outcome, changes } = await root.one.tryRegister(changed);
    expect(outcome).toBe('updated');
    expect(changes).toContainEqual({ field: 'owner', from: 'platform', to: 'security' });
    expect((await root.one.credential()).root?.owner).toBe('security');
    expect(await count(root.one, 'declaration-changed')).toBe(1);
  });

  test('is what is confirmed without a holder, and nothing else is', async () => {
    const one = await world.registered();
    const root = await RootCase.make(world.newCase());
    await root[Symbol.asyncDispose]();
    const other = Object.assign(Object.create(root) as RootCase, { one });
    expect(await codeOf(other.confirm())).toBe('ERR_REQUEST');
  });
});

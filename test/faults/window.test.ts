import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { sightings } from '../../shared/domain/readers.ts';
import { LOOKS_PER_EXECUTION } from '../../shared/domain/deferral.ts';
import { MAX_LOOKS } from '../../shared/domain/window.ts';
import type { Client } from 'pg';
import { EngineWorld, type EngineCase, type Login } from '../support/engine-world.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** Events that Step Functions keeps of these states: two of a choice or wait, five of a call, six of a callback. */
function history(trail: readonly string[]): number {
  const events = (state: string): number => {
    if (['Phase', 'Outcome', 'Decision', 'Announced', 'RollingBack', 'Done'].includes(state)) return 2;
    return ['Rotate', 'Window', 'Deferred'].includes(state) ? 6 : 5;
  };
  return trail.reduce((sum, state) => sum + events(state), 0);
}

/** A connection that an agent keeps open, whatever happens to its credential. */
async function session(one: EngineCase, login: Login): Promise<Client> {
  return world.server.connect(login, one.target.database);
}

/** A rotation in whose window somebody keeps a session of the old credential open. */
async function withStraggler(policy: object): Promise<{ one: EngineCase; token: string; client: Client }> {
  const one = world.newCase(policy);
  await one.register();
  one.agents.start();
  const client = await session(one, await one.login());
  const token = await one.requestRotation();
  await one.until((rotation) => rotation.phase === 'window', token);
  return { one, token, client };
}

const SHORT = { window: '15m', deadline: '30m', cap: '2h' };

describe('hard decision 10: at the deadline', () => {
  test('a window with an open session is extended and pages once; when the session ends, it closes', async () => {
    const { one, token, client } = await withStraggler(SHORT);
    await one.until((rotation) => rotation.window?.overdue === true, token);
    for (let looks = 0; looks < 2; looks++) await one.advance();
    expect((await one.actions()).filter((action) => action === 'window-extended')).toHaveLength(1);
    expect(await one.openSlots()).toHaveLength(2);
    await client.end();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('whoever has the open session is kept as a reader, and is no part of any record', async () => {
    const { one, token, client } = await withStraggler(SHORT);
    await client.query("SET application_name = 'straggler'");
    await one.until((rotation) => rotation.window?.overdue === true, token);
    const seen = await one.deps.readers.of(one.secret);
    expect(seen).toContainEqual(
      expect.objectContaining({ kind: 'session', principal: one.target.users[0], name: 'straggler' }),
    );
    expect(sightings(seen, [], await one.rotation(token)).find(({ onLoser }) => onLoser)?.reader.name).toBe(
      'straggler',
    );
    expect(JSON.stringify(await one.records())).not.toMatch(/straggler|clients/);
    await client.end();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('a window is decided the same where readers can not be kept', async () => {
    const { one, token, client } = await withStraggler(SHORT);
    const broken = async (): Promise<never> => Promise.reject(new Error('no table'));
    one.change = (deps) => ({ ...deps, readers: { saw: broken, of: broken } });
    await client.end();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('a window that nobody leaves is held at its cap for a person, and nothing is revoked', async () => {
    const { one, token, client } = await withStraggler(SHORT);
    await one.settle();
    const rotation = await one.rotation(token);
    expect({ phase: rotation.phase, stuck: rotation.stuck }).toEqual({ phase: 'window', stuck: true });
    expect(await one.actions()).toContain('window-held');
    expect(one.machines.failed.map((execution) => execution.error)).toContain('RotationHeld');
    await expect(client.query('SELECT 1')).resolves.toBeDefined();
    expect(await one.openSlots()).toHaveLength(2);
    await client.end();
  });

  test('a policy that says so revokes, ends the session and names what was missing', async () => {
    const { one, token, client } = await withStraggler({ ...SHORT, atDeadline: 'revoke', soak: '0s' });
    const ended = new Promise((resolve) => client.once('end', resolve));
    await one.settle();
    await ended;
    expect((await one.rotation(token)).phase).toBe('completed');
    const intent = (await one.records()).find((record) => record.message === 'revocation-intended');
    expect(intent?.entity.data.evidence).toContain('1 sessions are still open');
    expect(await one.faults()).toEqual([]);
  });

  /** A rotation in whose soak somebody has a session who came in between the proof and the suspension. */
  async function withLatecomer(policy: object): Promise<{ one: EngineCase; token: string; client: Client }> {
    const one = world.newCase({ ...SHORT, soak: '1m', ...policy });
    await one.register();
    const old = await one.login();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    let client: Client | undefined;
    one.calls.between = async (label) => {
      if (label === 'provider.suspend') client ??= await session(one, old);
    };
    await one.until((rotation) => rotation.phase === 'suspending', token);
    if (client === undefined) throw new Error('nobody came in');
    return { one, token, client };
  }

  test('a session that came in before the suspension is not ended under extend: extended, then held for a person', async () => {
    const { one, token, client } = await withLatecomer({ atDeadline: 'extend' });
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'suspending', stuck: true });
    const actions = await one.actions();
    expect(actions.filter((action) => action === 'window-extended')).toHaveLength(1);
    expect(actions).toContain('window-held');
    expect(actions).not.toContain('revocation-intended');
    expect(one.machines.failed.map((execution) => execution.error)).toContain('RotationHeld');
    await expect(client.query('SELECT 1')).resolves.toBeDefined();

    // Once the session has ended, the daily look finds so and the old credential goes.
    await client.end();
    one.time.jumpTo(one.time.now() + 25 * 3600 * 1000);
    await one.reconcileBySchedule();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('a session that came in before the suspension is ended under revoke, and named as a straggler', async () => {
    const { one, token, client } = await withLatecomer({ atDeadline: 'revoke' });
    const ended = new Promise((resolve) => client.once('end', resolve));
    await one.settle();
    await ended;
    expect((await one.rotation(token)).phase).toBe('completed');
    const intent = (await one.records()).find((record) => record.message === 'revocation-intended');
    expect(JSON.parse(intent?.entity.data.evidence ?? '{}')).toMatchObject({
      stragglers: ['1 sessions are still open at the source'],
    });
    expect(await one.faults()).toEqual([]);
  });

  test('trap: retirement waits for sessions of the suspended user, until the deadline', async () => {
    const one = world.newCase({ window: '15m', deadline: '2h', cap: '3h', soak: '1m' });
    await one.register();
    one.agents.start();
    const old = await one.login();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    // Somebody comes in right between the proof and the suspension.
    const late: Client[] = [];
    one.calls.between = async (label) => {
      if (label === 'provider.suspend' && late.length === 0) late.push(await session(one, old));
    };
    await one.until((rotation) => rotation.phase === 'suspending', token);
    await one.advance();
    await one.advance();
    expect((await one.rotation(token)).phase).toBe('suspending');
    await expect(late[0]?.query('SELECT 1')).resolves.toBeDefined();
    await late[0]?.end();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });
});

describe('a window', () => {
  test('of a credential without a known holder never ends in a revocation', async () => {
    const one = world.newCase();
    const declaration = parseEntry({
      ...one.declaration,
      holders: [],
      policy: { ...SHORT, atDeadline: 'revoke' },
    });
    await one.repeating(() => one.tryRegister(declaration));
    await one.still();
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('window');
    expect(await one.openSlots()).toHaveLength(2);
    expect(await one.actions()).toContain('window-held');
  });

  test('in mode overlap keeps the old credential and says that it is not deactivated', async () => {
    const one = world.newCase();
    const declaration = parseEntry({ ...one.declaration, mode: 'overlap' });
    await one.repeating(() => one.tryRegister(declaration));
    await one.still();
    const old = await one.login();
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.works(old)).toBe(true);
    const kept = (await one.records()).at(-1);
    expect([kept?.message, kept?.entity.data.deactivation]).toEqual(['kept', 'NOT CONFIRMED']);
    // Both users are taken now: the next rotation is aborted, not forced.
    const next = await one.rotate();
    expect((await one.rotation(next)).phase).toBe('aborted');
    expect((await one.rotation(next)).failure).toMatchObject({ code: 'ERR_CAPACITY' });
    expect(await one.works(await one.login())).toBe(true);

    // In mode enforce, the next rotation first retires what was kept, unless somebody still uses it.
    const enforced = parseEntry({ ...one.declaration, mode: 'enforce' });
    await one.repeating(() => one.tryRegister(enforced));
    const client = await session(one, old);
    const refused = await one.rotate();
    expect((await one.rotation(refused)).failure?.message).toContain('1 sessions are still open');
    expect(await one.works(old)).toBe(true);
    await client.end();
    const before = (await one.records()).length;
    const last = await one.rotate();
    expect((await one.rotation(last)).phase).toBe('completed');
    expect(await one.works(old)).toBe(false);
    const records = (await one.records()).slice(before);
    const retired = records.find((record) => record.message === 'retired');
    expect(retired?.metadata.correlation_uid).toBe(token);
    expect(retired?.entity.data).toMatchObject({
      deactivation: 'CONFIRMED',
      old_handle: kept?.entity.data.old_handle,
      old_fingerprint: kept?.entity.data.old_fingerprint,
    });
    const order = records.map((record) => record.message);
    expect(order.indexOf('revocation-intended')).toBeLessThan(order.indexOf('retired'));
    expect(order.indexOf('retired')).toBeLessThan(order.indexOf('activation-intended'));
    expect(await one.faults()).toEqual([]);
  });

  test('in mode observe nothing rotates', async () => {
    const one = world.newCase();
    const declaration = parseEntry({ ...one.declaration, mode: 'observe' });
    await one.repeating(() => one.tryRegister(declaration));
    await one.still();
    await expect(one.requestRotation()).rejects.toMatchObject({ code: 'ERR_MODE', field: 'mode' });
    expect(await one.faults()).toEqual([]);
  });

  test('hard decision 5: does not poll, and its lifecycle stays far under 10,000 events at the longest', async () => {
    const planned = await world.registered();
    await planned.rotate();
    const [execution] = planned.machines.executions.values();
    expect(execution?.trail.filter((state) => state === 'Verify').length).toBeLessThanOrEqual(3);

    // The worst: a window of the shortest length, looked at until the cap. What a look costs counts for as many as the
    // longest cap allows.
    const { one, client } = await withStraggler({ window: '15m', deadline: '30m', cap: '24h' });
    await one.settle();
    await client.end();
    const [longest] = [...one.machines.executions.values()]
      .map(({ trail }) => trail)
      .toSorted((a, b) => b.length - a.length);
    const looks = (longest ?? []).filter((state) => state === 'Verify').length;
    expect(looks).toBeGreaterThan(90);
    // Before its window, one execution may have gone through as many looks of a deferral as it takes.
    const deferral = history(['Deferred', 'Outcome', 'Announced', 'Rotate', 'Outcome']) * LOOKS_PER_EXECUTION;
    expect((history(longest ?? []) / looks) * MAX_LOOKS + deferral).toBeLessThan(10_000);
  });

  test('hard decision 5: goes on in another execution after so many looks, whoever asked for them', async () => {
    const { one, token, client } = await withStraggler(SHORT);
    await one.until((rotation) => rotation.window?.overdue === true, token);
    const before = [...one.machines.executions.values()].filter(({ status }) => status === 'RUNNING');
    // As if agents had woken it until here.
    await one.deps.ledger.attach(await one.credential(), {
      ...(await one.rotation(token)),
      wakeUps: MAX_LOOKS - 1,
    });
    await one.until(({ wakeUps }) => wakeUps > MAX_LOOKS, token);
    expect(before.map(({ status }) => status)).toEqual(['SUCCEEDED']);
    await client.end();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });
});

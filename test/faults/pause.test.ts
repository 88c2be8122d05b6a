import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { checkHolders } from '../../shared/engine/holders.ts';
import { isOver, isPaused } from '../../shared/domain/rotation.ts';
import { planDue } from '../../shared/engine/plan.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { dryRun, MODES } from '../support/explore.ts';
import type { FaultMode } from '../support/faulty.ts';
import { isScheduled, paused, tryPause, tryUnpause, unpaused } from '../support/leaving.ts';
import { attempt, rotateByHand } from '../support/steps.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const DAY_MS = 24 * 3600 * 1000;
const WEB = { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'web' };

/** A rotation whose window is open. */
async function inWindow(policy: object = {}): Promise<{ one: EngineCase; token: string }> {
  const one = await world.registered(undefined, policy);
  const token = await one.requestRotation();
  await one.until(({ phase }) => phase === 'window', token);
  return { one, token };
}

/** Days go by, with everything that a schedule does in them; what a pause must have kept as it was. */
async function daysPass(one: EngineCase, token: string, days = 3): Promise<string[]> {
  await one.still();
  const before = await one.rotation(token);
  const slots = (await one.openSlots()).join();
  const executions = one.machines.executions.size;
  for (let day = 0; day < days; day++) {
    await one.still();
    one.time.jumpTo(one.time.now() + DAY_MS);
    await one.reconcileBySchedule();
  }
  await one.settle();
  const after = await one.rotation(token);
  return [
    ...(after.phase === before.phase ? [] : [`paused in ${before.phase}, but now it is ${after.phase}`]),
    ...(after.repairs === before.repairs ? [] : ['the reconciler has counted repairs']),
    ...(one.machines.executions.size === executions ? [] : ['somebody has driven it']),
    ...(after.stuck === true ? ['a person was paged for a pause'] : []),
    ...((await one.openSlots()).join() === slots ? [] : ['a login was changed during the pause']),
    ...((await isScheduled(one)) ? ['the schedule is still there'] : []),
    ...[...one.machines.executions.values()]
      .filter(({ status }) => status === 'RUNNING')
      .map(({ name }) => `execution ${name} still runs`),
  ];
}

async function completed(one: EngineCase, token: string): Promise<string[]> {
  await one.settle();
  const { phase } = await one.rotation(token);
  return [
    ...(phase === 'completed' ? [] : [`the rotation is ${phase}`]),
    ...((await isScheduled(one)) ? [] : ['there is no schedule any more']),
    ...(await one.faults()),
  ];
}

describe('a pause', () => {
  test('holds an open window past deadline and cap, whatever the policy, and nobody is paged', async () => {
    const { one, token } = await inWindow({
      window: '15m',
      deadline: '30m',
      cap: '2h',
      atDeadline: 'revoke',
    });
    const old = await one.login({ stage: 'AWSPREVIOUS' });
    const client: Client = await world.server.connect(old, one.target.database);
    const before = (await one.rotation(token)).window;
    await paused(one);
    expect(await daysPass(one, token)).toEqual([]);
    expect(await one.works(old)).toBe(true);

    // What was left until the deadline is left again: whoever is late isn't thrown out by the end of the pause.
    const executions = one.machines.executions.size;
    await unpaused(one);
    expect(one.machines.executions.size).toBe(executions + 1);
    const after = (await one.rotation(token)).window;
    const shift = Date.parse(after?.deadline ?? '') - Date.parse(before?.deadline ?? '');
    expect(shift).toBeGreaterThanOrEqual(3 * DAY_MS);
    expect(Date.parse(after?.cap ?? '') - Date.parse(before?.cap ?? '')).toBe(shift);
    expect(after?.earliestClose).toBe(before?.earliestClose);
    await one.advance();
    await one.advance();
    expect((await one.rotation(token)).phase).toBe('window');
    await expect(client.query('SELECT 1')).resolves.toBeDefined();
    await client.end();
    expect(await completed(one, token)).toEqual([]);
  });

  test('holds a soak: what is suspended is not revoked, and is asked for again afterwards', async () => {
    const one = await world.registered(undefined, { soak: '10m' });
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'suspending', token);
    await paused(one);
    expect(await daysPass(one, token)).toEqual([]);
    await unpaused(one);
    expect(await completed(one, token)).toEqual([]);
  });

  test('keeps an announced rotation from beginning', async () => {
    const one = await world.registered(undefined, { announce: '1h' });
    const token = await one.requestRotation();
    await one.still();
    await paused(one);
    expect(await daysPass(one, token)).toEqual([]);
    expect(one.jobs().filter(({ kind }) => kind === 'rotation')).toEqual([]);
    await unpaused(one);
    expect(await completed(one, token)).toEqual([]);
  });

  test('that comes between RotateSecret and createSecret stops that, and unpausing begins it again', async () => {
    const { one, token } = await stoppedBefore('ledger.commit', 'announced');
    expect((await one.rotation(token)).phase).toBe('announced');
    expect(await daysPass(one, token)).toEqual([]);
    await unpaused(one);
    expect(await completed(one, token)).toEqual([]);
  });

  test('lets the four steps end, and holds the window that they open; asked again, the schedule goes', async () => {
    const { one, token, answer } = await stoppedBefore('provider.activate', 'activating');
    expect(answer?.backstop).toBe('later');
    expect((await one.rotation(token)).phase).toBe('window');
    expect((await paused(one)).backstop).toBe('aligned');
    expect(await daysPass(one, token)).toEqual([]);
    await unpaused(one);
    expect(await completed(one, token)).toEqual([]);
  });

  test('keeps services from being redeployed, which is done once it has ended', async () => {
    const fresh = world.newCase({}, [WEB]);
    const service = (await fresh.workloads()).addService('main', 'web');
    await fresh.register();
    const { one, token } = await stoppedBefore('provider.activate', 'activating', fresh);
    await paused(one);
    expect(await daysPass(one, token)).toEqual([]);
    expect(service.redeployments).toEqual([]);
    await unpaused(one);
    expect(await completed(one, token)).toEqual([]);
    expect(service.redeployments).toHaveLength(1);
  });

  test('past the deadline doesn’t end a window on what was seen before it: holders are looked at again', async () => {
    const one = world.newCase({ window: '15m', deadline: '30m', cap: '2h' }, [WEB]);
    const service = (await one.workloads()).addService('main', 'web');
    const old = service.tasks.map((task) => ({ ...task, arn: `${task.arn}-again` }));
    await one.register();
    const token = await one.requestRotation();
    const moved = { kind: 'ecs-restart', olderTasks: 0 };
    await one.until(({ holderEvidence }) => holderEvidence?.[0]?.kind === 'ecs-restart', token);
    one.time.jumpTo(one.time.now() + 10 * 60_000);
    await one.process(async (deps) =>
      checkHolders(deps, { credentialId: await one.id(), rotationId: token }),
    );
    expect((await one.rotation(token)).holderEvidence?.[0]).toMatchObject(moved);
    await paused(one);
    // Somebody brings tasks back that have the old value.
    service.tasks.push(...old);
    expect(await daysPass(one, token)).toEqual([]);
    await unpaused(one);
    await one.advance();
    await one.advance();
    expect(await one.rotation(token)).toMatchObject({
      phase: 'window',
      holderEvidence: [{ olderTasks: old.length }],
    });
    service.tasks = service.tasks.filter((task) => !old.includes(task));
    expect(await completed(one, token)).toEqual([]);
  });

  test('doesn’t end a window on what was seen before it, where nobody can look afterwards', async () => {
    const holder = { kind: 'lambda', name: 'orders', function: 'orders:live' };
    const one = world.newCase({ window: '15m', deadline: '2h', cap: '4h' }, [holder]);
    const made = (await one.workloads()).addFunction('orders');
    made.versions.set('1', one.time.now() - 3_600_000);
    made.aliases.set('live', { version: '1' });
    await one.register();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    one.time.jumpTo(one.time.now() + 60_000);
    made.versions.set('2', one.time.now());
    made.aliases.set('live', { version: '2' });
    await one.process(async (deps) =>
      checkHolders(deps, { credentialId: await one.id(), rotationId: token }),
    );
    expect((await one.rotation(token)).holderEvidence?.[0]).toHaveProperty('refreshedSeenAt');
    await paused(one);
    // Somebody takes the release back: callers reach what was made with the old value.
    made.aliases.set('live', { version: '1' });
    expect(await daysPass(one, token)).toEqual([]);
    const denied = () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'nobody answers'));
    one.change = (deps) => ('watch' in deps ? { ...deps, watch: { ...deps.watch, function: denied } } : deps);
    await unpaused(one);
    for (let jumps = 0; jumps < 4; jumps++) await one.advance();
    expect((await one.rotation(token)).phase).toBe('window');
    one.change = (deps) => deps;
    made.aliases.set('live', { version: '2' });
    expect(await completed(one, token)).toEqual([]);
  });

  /** A pause that comes before a side effect of a rotation in that phase. */
  async function stoppedBefore(label: string, phase: string, fresh?: EngineCase) {
    const one = fresh ?? (await world.registered());
    const token = randomUUID();
    let answer: Awaited<ReturnType<typeof paused>> | undefined;
    one.calls.between = async (next) => {
      if (answer !== undefined || next !== label) return;
      const id = await one.deps.ledger.idByName(one.name);
      const found = id === undefined ? undefined : await one.deps.ledger.rotation(id, token);
      const begun = one.jobs().some((job) => job.token === token);
      if (found?.phase !== phase || !begun) return;
      one.calls.between = async () => undefined;
      answer = await paused(one);
    };
    await one.requestRotation(token);
    await one.settle();
    expect(answer).toBeDefined();
    return { one, token, answer };
  }

  test('at any moment of a rotation: what ends ends, and nothing more happens until it is unpaused', async () => {
    const { moments } = await dryRun(world, { act: async (one) => void (await one.rotate()) });
    const found: string[] = [];
    let held = 0;
    await inParallel(
      moments.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const one = await world.registered();
        const id = await one.id();
        const token = randomUUID();
        one.calls.interlude = { at, act: async () => void (await tryPause(one)) };
        one.calls.arm();
        await one.requestRotation(token).catch(() => undefined);
        await one.settle();
        one.calls.disarm();
        const wrong = one.calls.struck ? [] : ['the pause never came'];
        const answer = await paused(one);
        if (answer.backstop !== 'aligned') wrong.push('the schedule never follows');
        const rotation = await one.deps.ledger.rotation(id, token);
        if (rotation !== undefined) {
          if (isPaused(rotation, answer.credential)) held++;
          else if (!isOver(rotation.phase)) wrong.push(`it is left in ${rotation.phase}`);
          wrong.push(...(await daysPass(one, token)));
        }
        await unpaused(one);
        await one.settle();
        wrong.push(...(await one.faults()));
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
    expect(held).toBeGreaterThan(moments.length / 2);
  });

  test('refuses what an operator, the schedule or a stranger asks for, and leaves no label behind', async () => {
    const one = await world.registered();
    await paused(one);
    await expect(one.requestRotation()).rejects.toMatchObject({
      code: 'ERR_PAUSED',
      field: 'paused',
      remedy: expect.stringContaining(`rekey unpause ${one.name}`),
    });
    await expect(world.stack.gateway.secrets.fireSchedule(one.secret)).rejects.toThrow(/not enabled/);
    const token = await rotateByHand(one);
    expect(await attempt(one, 'createSecret', token)).toBe('ERR_PAUSED');
    expect(Object.values(await one.labels()).flat()).not.toContain('AWSPENDING');
    const due = { maxStarts: 10, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
    one.time.jumpTo(one.time.now() + 40 * DAY_MS);
    expect((await planDue(one.deps, due)).started).toEqual([]);
    // A stranger's RotateSecret has set the schedule up again.
    await paused(one);
    expect(await isScheduled(one)).toBe(false);
    await unpaused(one);
    expect((await planDue(one.deps, due)).started).toHaveLength(1);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('is not undone by an apply, which changes what it declares', async () => {
    const one = await world.registered();
    await paused(one);
    const declaration = parseEntry({ ...one.declaration, policy: { interval: '20d' } });
    expect((await one.tryRegister(declaration)).outcome).toBe('updated');
    expect(await isScheduled(one)).toBe(false);
    await unpaused(one);
    expect((await one.credential()).backstopDays).toBe(19);
    expect(await isScheduled(one)).toBe(true);
  });

  test('doesn’t keep anybody from rolling back; the way back waits for its end', async () => {
    const { one, token } = await inWindow();
    const old = await one.login({ stage: 'AWSPREVIOUS' });
    await paused(one);
    await one.requestRollback(token);
    await one.settle();
    expect(await one.login()).toEqual(old);
    expect(await daysPass(one, token)).toEqual([]);
    await unpaused(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('asked for twice is one pause with one record, and so is its end', async () => {
    const { one, token } = await inWindow();
    const first = await paused(one);
    one.time.jumpTo(one.time.now() + 1000);
    const second = await paused(one);
    expect([first.changed, second.changed]).toEqual([true, false]);
    expect(second.credential.paused).toEqual(first.credential.paused);
    expect([(await unpaused(one)).changed, (await unpaused(one)).changed]).toEqual([true, false]);
    const actions = await one.actions();
    expect(actions.filter((action) => /paused/.test(action))).toEqual(['paused', 'unpaused']);
    expect(await completed(one, token)).toEqual([]);
  });

  test('and its end at once leave either, whole', async () => {
    for (let round = 0; round < 3; round++) {
      const { one, token } = await inWindow();
      await Promise.allSettled([paused(one), unpaused(one), paused(one), unpaused(one)]);
      const { paused: found } = await one.credential();
      await (found === undefined ? unpaused(one) : paused(one));
      expect(await isScheduled(one)).toBe(found === undefined);
      if (found !== undefined) expect(await daysPass(one, token)).toEqual([]);
      await unpaused(one);
      expect(await completed(one, token)).toEqual([]);
    }
  });

  test.each(MODES)('is completed by its repetition, whatever fails: %s', async (mode: FaultMode) => {
    const count = async (work: (one: EngineCase) => Promise<unknown>, isPausedFirst: boolean) => {
      const { one } = await inWindow();
      if (isPausedFirst) await paused(one);
      one.calls.arm();
      await work(one);
      one.calls.disarm();
      return one.calls.labels.map((label, index) => ({ label, at: index + 1, isPausedFirst }));
    };
    const faults = [...(await count(paused, false)), ...(await count(unpaused, true))];
    const found: string[] = [];
    await inParallel(faults, async ({ label, at, isPausedFirst }) => {
      const { one, token } = await inWindow();
      if (isPausedFirst) await paused(one);
      one.calls.arm({ at, mode });
      await (isPausedFirst ? unpaused(one) : paused(one));
      one.calls.disarm();
      const wrong = one.calls.struck ? [] : ['the fault never came'];
      if (!isPausedFirst) wrong.push(...(await daysPass(one, token)));
      if (!isPausedFirst) await unpaused(one);
      wrong.push(...(await completed(one, token)));
      const what = isPausedFirst ? 'unpause' : 'pause';
      for (const each of wrong) found.push(`${mode} call ${at} of ${what} (${label}): ${each}`);
    });
    expect(found).toEqual([]);
  });

  test('whose end dies before it drives anything is ended by the reconciler', async () => {
    const { one, token } = await inWindow();
    await paused(one);
    one.calls.arm({ at: 'ledger.commit', mode: 'after' });
    await expect(one.time.work(() => tryUnpause(one))).rejects.toThrow('killed');
    one.calls.disarm();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    // The schedule comes back with the next apply, where nobody unpauses again.
    expect(await isScheduled(one)).toBe(false);
    expect((await one.tryRegister()).outcome).toBe('unchanged');
    expect(await isScheduled(one)).toBe(true);
    await one.still();
    expect(await one.faults()).toEqual([]);
  });
});

describe('a pause and an emergency', () => {
  test('at every stage of the emergency: it ends as ever, and the pause is taken or refused, nothing between', async () => {
    const { moments } = await dryRun(world, { act: async (one) => one.finished(await one.startEmergency()) });
    const found: string[] = [];
    await inParallel(
      moments.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const { one } = await inWindow();
        let answer = 'never asked';
        const act = async (): Promise<void> => {
          answer = await tryPause(one).then(
            () => 'paused',
            (error: Error & { field?: string; remedy?: string }) =>
              `${error.name} ${error.field} ${error.remedy === undefined ? 'without' : 'with'} remedy`,
          );
        };
        one.calls.interlude = { at, act };
        one.calls.arm();
        const emergency = await one.startEmergency();
        await one.finished(emergency);
        one.calls.disarm();
        await one.settle();
        const wrong = await one.faults();
        if (emergency.status !== 'SUCCEEDED') wrong.push(`the emergency ${emergency.status}`);
        const { paused: state } = await one.credential();
        const expected = state === undefined ? 'ERR_MODE status with remedy' : 'paused';
        if (answer !== expected) wrong.push(`the pause was answered "${answer}", not "${expected}"`);
        if ((await isScheduled(one)) !== (state === undefined)) wrong.push('the schedule says otherwise');
        for (const each of wrong) found.push(`before call ${at} (${label}): ${each}`);
      },
    );
    expect(found).toEqual([]);
  });

  test('of a paused credential: it is revoked and replaced at once, and stays paused', async () => {
    const { one } = await inWindow();
    const old = await one.login({ stage: 'AWSPREVIOUS' });
    const leaked = await one.login();
    await paused(one);
    const emergency = await one.startEmergency();
    await one.finished(emergency);
    await one.settle();
    expect(emergency.status).toBe('SUCCEEDED');
    expect([await one.works(old), await one.works(leaked)]).toEqual([false, false]);
    expect((await one.credential()).paused?.reason).toBe('moving the database');
    expect(await one.faults()).toEqual([]);
    await unpaused(one);
    await one.rotate();
    expect(await one.faults()).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ESCALATE_AFTER, dueOf, plannedToken } from '../../shared/domain/calendar.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { eventOf } from '../../shared/domain/events.ts';
import type { Rotation } from '../../shared/domain/rotation.ts';
import { planDue, realignAll, type PlanAnswer } from '../../shared/engine/plan.ts';
import { EVENT } from '../../shared/names.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { MODES } from '../support/explore.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const BUDGET = { maxStarts: 10, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };

/** One run of the planner as a process of its own. */
const plan = (one: EngineCase): Promise<PlanAnswer> =>
  one.time.work(() => one.process((deps) => planDue(deps, BUDGET)));

const realign = (one: EngineCase) =>
  one.time.work(() => one.process((deps) => realignAll(deps, Number.POSITIVE_INFINITY)));

/** Registered, and at the very moment at which its next rotation starts. */
async function due(policy: object = {}): Promise<EngineCase> {
  const one = await world.registered(undefined, policy);
  jumpTo(one, await startOf(one));
  return one;
}

const startOf = async (one: EngineCase): Promise<number> =>
  Date.parse(dueOf(await one.credential())?.startsAt ?? '');

function jumpTo(one: EngineCase, instant: number): void {
  one.time.jumpTo(instant);
}

async function planned(one: EngineCase): Promise<readonly Rotation[]> {
  const rotations = await one.deps.ledger.rotations(await one.id(), 50);
  return rotations.filter(({ trigger }) => trigger.kind === 'planner');
}

/** What went wrong where exactly one rotation, a completed one, shall have come of a due date. */
async function unlessOne(one: EngineCase, kinds = ['planner']): Promise<string[]> {
  const rotations = await one.deps.ledger.rotations(await one.id(), 50);
  const told = rotations.map(({ phase, trigger }) => `${phase} (${trigger.kind})`).join(', ');
  const wrong = await one.faults();
  if (rotations.length !== 1) wrong.push(`${rotations.length} rotations: ${told}`);
  if (rotations.some(({ phase, trigger }) => phase !== 'completed' || !kinds.includes(trigger.kind)))
    wrong.push(told);
  return wrong;
}

/** No new credential works at the upstream. */
function broken(one: EngineCase): void {
  one.change = (deps) => ({
    ...deps,
    providerFor: async (type, name) => {
      const provider = await deps.providerFor(type, name);
      const verify = (): Promise<never> => Promise.reject(new RekeyError('ERR_REJECTED', 'refused'));
      return new Proxy(provider, {
        get: (target, key, receiver) => (key === 'verify' ? verify : Reflect.get(target, key, receiver)),
      });
    },
  });
}

describe('a due rotation', () => {
  test('P1: is left alone until its lead begins, then starts unasked and ends while agents work', async () => {
    const one = await world.registered();
    one.agents.start();
    const start = await startOf(one);
    jumpTo(one, start - 2 * MINUTE);
    expect(await plan(one)).toMatchObject({ started: [], recorded: [] });
    jumpTo(one, start);
    expect(await plan(one)).toMatchObject({ started: [await one.id()], left: 0 });
    await one.settle();
    expect(await unlessOne(one)).toEqual([]);
    const [rotation] = await planned(one);
    expect(rotation?.trigger.actor).toBe('plan-rotations');
    expect(rotation?.trigger.reason).toMatch(/^due by .*; every 30 days: computed for write access/);
    expect(await plan(one)).toMatchObject({ started: [], recorded: [], left: 0 });
    expect(await startOf(one)).toBeGreaterThan(start + 27 * DAY);
  });

  test('is announced to holders before it rotates, and still rotates ahead of its deadline', async () => {
    const one = await due({ announce: '6h' });
    const deadline = Date.parse(dueOf(await one.credential())?.deadline ?? '');
    await plan(one);
    await one.still();
    const [announced] = await planned(one);
    expect(announced?.phase).toBe('announced');
    await one.until(({ phase }) => phase === 'window', announced?.id ?? '');
    expect(deadline - one.time.now()).toBeGreaterThan(47 * HOUR);
    await one.settle();
    expect(await unlessOne(one)).toEqual([]);
  });

  test('has every side effect of the planner numbered', async () => {
    const one = await due();
    one.calls.arm();
    await plan(one);
    one.calls.disarm();
    expect(one.calls.labels.slice(0, 2)).toEqual(['ledger.commit', 'workflow.startLifecycle']);
    await one.settle();
  });

  test.each(MODES)(
    'begins once where the planner dies at any side effect, and comes again: %s',
    async (mode) => {
      const found: string[] = [];
      await inParallel([1, 2], async (at) => {
        const one = await due();
        one.agents.start();
        one.calls.arm({ at, mode });
        await plan(one).catch(() => undefined);
        one.calls.disarm();
        if (!one.calls.struck) found.push(`${at}: the fault never came`);
        for (let tick = 0; tick < 3; tick++) {
          jumpTo(one, one.time.now() + 5 * MINUTE);
          await plan(one);
        }
        await one.settle();
        await plan(one);
        await one.settle();
        for (const wrong of await unlessOne(one)) found.push(`${mode} at ${at}: ${wrong}`);
      });
      expect(found).toEqual([]);
    },
  );

  test.each(['another planner', 'an operator'])(
    'begins once where %s comes while the planner stands still at any line',
    async (who) => {
      const dry = await due();
      dry.calls.arm();
      await plan(dry);
      dry.calls.disarm();
      const moments = dry.calls.moments.indexOf('workflow.startLifecycle') + 1;
      await dry.settle();
      expect(moments).toBeGreaterThanOrEqual(3);
      const found: string[] = [];
      await inParallel(
        Array.from({ length: moments }, (_each, index) => index + 1),
        async (at) => {
          const one = await due();
          one.calls.arm();
          one.calls.interlude = {
            at,
            act: async () => {
              if (who === 'another planner') await plan(one);
              else await one.requestRotation().catch(() => undefined);
            },
          };
          await plan(one);
          one.calls.disarm();
          if (!one.calls.struck) found.push(`${at}: nobody came`);
          await one.settle();
          await plan(one);
          await one.settle();
          for (const wrong of await unlessOne(one, ['planner', 'operator'])) found.push(`${at}: ${wrong}`);
        },
      );
      expect(found).toEqual([]);
    },
  );

  test('begins once where a run that read the calendar before decides only after a whole rotation', async () => {
    const one = await due();
    const stale = [await one.id()];
    await plan(one);
    await one.settle();
    const late: PlanAnswer = await one.time.work(() =>
      one.process((deps) =>
        planDue(
          { ...deps, ledger: Object.assign(Object.create(deps.ledger), { due: async () => stale }) },
          BUDGET,
        ),
      ),
    );
    expect(late).toMatchObject({ started: [], failed: [] });
    await one.settle();
    expect(await unlessOne(one)).toEqual([]);
  });
});

describe('what fails', () => {
  test('P5: is tried again after 15 minutes, an hour and four; then a person is told, once; then every 12 hours, until it works', async () => {
    const one = await due();
    broken(one);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= ESCALATE_AFTER + 1; attempt++) {
      const before = await plan(one);
      expect([attempt, before.started]).toEqual([attempt, [await one.id()]]);
      await one.settle();
      const { plan: state, activeRotation } = await one.credential();
      expect([activeRotation, state?.attempts]).toEqual([undefined, attempt]);
      const aborted = (await one.records()).findLast(({ message }) => message === 'aborted');
      const next = Date.parse(state?.notBefore ?? '');
      // To the minute: the record and the decision read the clock a moment apart.
      waits.push(Math.round((next - (aborted?.time ?? 0)) / MINUTE));
      jumpTo(one, next - MINUTE);
      expect((await plan(one)).started).toEqual([]);
      jumpTo(one, next);
    }
    expect(waits).toEqual([15, 60, 240, 720]);
    const told = (await one.records()).filter(({ message }) => message === 'rotation-escalated');
    expect(told.map((record) => eventOf(record)?.detailType)).toEqual([EVENT.expiring]);
    const ids = (await planned(one)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ESCALATE_AFTER + 1);
    one.change = (deps) => deps;
    await plan(one);
    await one.settle();
    expect(await one.faults()).toEqual([]);
    const [newest] = await planned(one);
    expect(newest?.phase).toBe('completed');
    // Nothing of the failures counts for the new version.
    jumpTo(one, await startOf(one));
    expect((await plan(one)).started).toEqual([await one.id()]);
    await one.settle();
  });

  test('is told once when its deadline has passed, also while it is paused; and rotates as soon as the pause ends', async () => {
    const one = await world.registered();
    const { ledger } = one.deps;
    const since = toInstant(one.time.now());
    await ledger.attach({ ...(await one.credential()), paused: { since, actor: 'arn:o', reason: 'freeze' } });
    const deadline = Date.parse(dueOf(await one.credential())?.deadline ?? '');
    jumpTo(one, deadline - MINUTE);
    expect(await plan(one)).toMatchObject({ started: [], recorded: [] });
    jumpTo(one, deadline);
    expect(await plan(one)).toMatchObject({ started: [], recorded: [await one.id()] });
    expect(await plan(one)).toMatchObject({ started: [], recorded: [] });
    const [record, ...more] = (await one.records()).filter(({ message }) => message === 'rotation-overdue');
    expect(more).toEqual([]);
    if (record === undefined) throw new Error('nothing was recorded');
    expect(record.entity.data.evidence).toContain('freeze');
    expect(eventOf(record)).toMatchObject({
      detailType: EVENT.expiring,
      detail: {
        rotationId: plannedToken(await one.credential(), 0),
        oldFingerprint: expect.stringMatching(/^sha256:/),
      },
    });
    const { paused: _over, ...running } = await one.credential();
    await ledger.attach(running);
    expect((await plan(one)).started).toEqual([await one.id()]);
    await one.settle();
    expect(await unlessOne(one)).toEqual([]);
  });

  test('and ends by itself soon is told of once more, also while it is paused, with its end', async () => {
    const one = await world.registered();
    const { ledger } = one.deps;
    const since = toInstant(one.time.now());
    const found = await one.credential();
    if (found.current === undefined) throw new Error('nothing is current');
    const end = one.time.now() + 80 * DAY;
    await ledger.attach({
      ...found,
      current: { ...found.current, endsAt: toInstant(end) },
      paused: { since, actor: 'arn:o', reason: 'freeze' },
    });
    jumpTo(one, end - 14 * DAY - MINUTE);
    await plan(one);
    expect(await one.actions()).not.toContain('credential-ending');
    jumpTo(one, end - 14 * DAY);
    expect(await plan(one)).toMatchObject({ started: [], recorded: [await one.id()] });
    expect(await plan(one)).toMatchObject({ started: [], recorded: [] });
    const told = (await one.records()).filter(({ message }) => message === 'credential-ending');
    expect(told.map(({ entity }) => entity.data.evidence)).toEqual([expect.stringContaining(toInstant(end))]);
    expect(told.map(eventOf)).toMatchObject([{ detailType: EVENT.expiring }]);
  });

  test('and was rolled back is never repeated by itself: what misbehaved would harm agents once more', async () => {
    const one = await due();
    one.agents.start();
    await plan(one);
    const [rotation] = await planned(one);
    await one.until(({ phase }) => phase === 'window', rotation?.id ?? '');
    await one.requestRollback(rotation?.id ?? '');
    await one.settle();
    expect((await one.rotation(rotation?.id ?? '')).phase).toBe('rolled-back');
    for (let day = 0; day < 4; day++) {
      jumpTo(one, one.time.now() + DAY);
      expect((await plan(one)).started).toEqual([]);
    }
    expect((await one.actions()).filter((action) => action === 'rotation-overdue')).toHaveLength(1);
    await one.rotate();
    expect(await one.faults()).toEqual([]);
    jumpTo(one, await startOf(one));
    expect((await plan(one)).started).toEqual([await one.id()]);
    await one.settle();
  });
});

describe('the policy', () => {
  test('an exception that ends is recorded once, and the rotation comes by its end', async () => {
    const fresh = world.newCase();
    const until = toInstant(fresh.time.now() + 40 * DAY).slice(0, 10);
    const one = await world.registered(undefined, {
      interval: '60d',
      exception: { reason: 'vendor outage', expires: until },
    });
    const shown = async (): Promise<string[]> =>
      (await one.records())
        .filter(({ message }) => message === 'policy-findings')
        .map((record) => record.entity.data.evidence);
    expect((await plan(one)).recorded).toEqual([await one.id()]);
    expect((await plan(one)).recorded).toEqual([]);
    expect(await shown()).toEqual([expect.stringContaining('vendor outage')]);
    const end = Date.parse(until) + DAY;
    expect(dueOf(await one.credential())?.deadline).toBe(toInstant(end));
    await one.deps.ledger.attach({
      ...(await one.credential()),
      paused: { since: until, actor: 'arn:o', reason: 'freeze' },
    });
    jumpTo(one, end);
    await plan(one);
    await plan(one);
    expect(await shown()).toEqual([expect.any(String), expect.stringContaining('expired on')]);
  });

  test('sharing above the limit is recorded when it first shows, and when it is over', async () => {
    const one = await world.registered();
    const share = async (agents: number): Promise<void> => {
      const credential = await one.credential();
      await one.deps.ledger.attach({
        ...credential,
        holders: [{ kind: 'polling', name: 'fleet', ttlSeconds: 120, agents }],
      });
      await plan(one);
      await plan(one);
    };
    for (const agents of [21, 30, 1]) await share(agents);
    const evidence = (await one.records())
      .filter(({ message }) => message === 'policy-findings')
      .map((record) => JSON.parse(record.entity.data.evidence) as { findings: { key: string }[] });
    expect(evidence.map(({ findings }) => findings.map(({ key }) => key))).toEqual([
      ['shared', 'looser'],
      [],
    ]);
  });
});

describe('hard decision 6: a head that a version without a calendar has written', () => {
  test('is found by the walk over the credentials, once, and rotates when it is due', async () => {
    const one = await due();
    const id = await one.id();
    await world.aws.json('dynamodb', 'DeleteItem', {
      TableName: 'ledger',
      Key: { pk: { S: `${one.tenant}#C#${id}` }, sk: { S: 'DUE' } },
    });
    expect((await plan(one)).started).toEqual([]);
    expect(await realign(one)).toEqual({ looked: 1, moved: 1, complete: true });
    expect(await realign(one)).toEqual({ looked: 1, moved: 0, complete: true });
    expect((await plan(one)).started).toEqual([id]);
    await one.settle();
    expect(await unlessOne(one)).toEqual([]);
  });

  test('that stands where nothing is due any more is moved by the planner itself', async () => {
    const one = await world.registered();
    const key = { pk: { S: `${one.tenant}#C#${await one.id()}` }, sk: { S: 'DUE' } };
    const right = await one.deps.ledger.lookAt(await one.id());
    await world.aws.json('dynamodb', 'UpdateItem', {
      TableName: 'ledger',
      Key: key,
      UpdateExpression: 'SET gsk = :t',
      ExpressionAttributeValues: { ':t': { S: '2020-01-01T00:00:00.000Z' } },
    });
    expect(await plan(one)).toMatchObject({ started: [], recorded: [], failed: [] });
    expect(await one.deps.ledger.lookAt(await one.id())).toBe(right);
  });
});

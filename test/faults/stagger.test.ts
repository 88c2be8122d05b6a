import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../shared/domain/credential.ts';
import { isRekeyError } from '../../shared/domain/errors.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { createSecret } from '../../shared/engine/issue.ts';
import { planDue, type PlanAnswer } from '../../shared/engine/plan.ts';
import { requestRotation, type Requested } from '../../shared/engine/requests.ts';
import { dueFleet, staggers, type DueFleet } from '../support/due-fleet.ts';
import { Calls, faulty, Process } from '../support/faulty.ts';
import { inParallel } from '../support/in-parallel.ts';
import { startTable } from '../support/table.ts';

let table: Awaited<ReturnType<typeof startTable>>;
beforeAll(async () => {
  table = await startTable('stagger-test');
});
afterAll(async () => {
  await table.stack.stop();
});

const BUDGET = { maxStarts: 9, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
const HOLDERS = [{ kind: 'client', name: 'checkout', principal: 'arn:a' }] as const;

/** Two credentials that one agent changes between its sessions only, both due. */
async function mates(): Promise<DueFleet & { names: readonly [string, string] }> {
  const names = [`orders-${randomUUID()}`, `stock-${randomUUID()}`] as const;
  const fleet = await dueFleet(table, 2, (n) => ({ name: names[n] ?? '', holders: HOLDERS }));
  await staggers(fleet, 'checkout', names);
  return { ...fleet, names };
}

/** A part of the engine with some of its methods replaced. */
function instead<T extends object>(part: T, methods: Partial<T>): T {
  return new Proxy(part, {
    get(target, key) {
      if (key in methods) return Reflect.get(methods, key);
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A run of the planner that looks at these credentials, in this order: the calendar's index lags. */
function plan(deps: EngineDeps, ids: readonly string[]): Promise<PlanAnswer> {
  return planDue({ ...deps, ledger: instead(deps.ledger, { due: async () => ids }) }, BUDGET);
}

const rotate = (deps: EngineDeps, name: string): Promise<Requested> =>
  requestRotation(deps, { name, token: randomUUID(), trigger: { kind: 'operator', actor: 'arn:o' } });

async function underWay({ deps, ids }: DueFleet): Promise<Credential[]> {
  const heads = await Promise.all(ids.map((id) => deps.ledger.credential(id)));
  return heads
    .filter((head) => head !== undefined)
    .filter(({ activeRotation }) => activeRotation !== undefined);
}

/** What a planner does while it may stand still, with every moment of it counted. */
function watched(deps: EngineDeps): { calls: Calls; deps: EngineDeps } {
  const calls = new Calls();
  const none = (): never => {
    throw new Error('the planner has no part in this');
  };
  const others = { events: { publish: none }, watch: { service: none, redeploy: none, function: none } };
  return { calls, deps: faulty({ ...deps, ...others }, calls, new Process()) };
}

/** Tells a story once for each moment at which the first planner may stand still; what was found wrong. */
async function atEveryMoment(
  story: (
    fleet: Awaited<ReturnType<typeof mates>>,
    calls: Calls,
    planner: EngineDeps,
    at: number,
  ) => Promise<string[]>,
): Promise<{ moments: number; found: string[] }> {
  const dry = await mates();
  const first = watched(dry.deps);
  first.calls.arm();
  await plan(first.deps, dry.ids);
  const moments = first.calls.moments.indexOf('workflow.startLifecycle') + 1;
  const found: string[] = [];
  await inParallel(
    Array.from({ length: moments }, (_each, index) => index + 1),
    async (at) => {
      const fleet = await mates();
      const { calls, deps } = watched(fleet.deps);
      for (const wrong of await story(fleet, calls, deps, at)) found.push(`${at}: ${wrong}`);
      if (!calls.struck) found.push(`${at}: nobody came`);
    },
  );
  return { moments, found };
}

describe('a stagger is never broken', () => {
  test('by two planners at once, wherever the first one stands still while the other runs', async () => {
    const { moments, found } = await atEveryMoment(async (fleet, calls, planner, at) => {
      const [one = '', other = ''] = fleet.ids;
      let beside: PlanAnswer | undefined;
      calls.arm();
      calls.interlude = { at, act: async () => void (beside = await plan(fleet.deps, [other])) };
      const answer = await plan(planner, [one, other]);
      const started = [...answer.started, ...(beside?.started ?? [])];
      const busy = await underWay(fleet);
      return [
        ...(busy.length === 1 ? [] : [`${busy.length} under way`]),
        ...(started.length === 1 ? [] : [`${started.length} started`]),
        ...[...answer.failed, ...(beside?.failed ?? [])].map(({ code }) => code),
      ];
    });
    expect(moments).toBeGreaterThanOrEqual(6);
    expect(found).toEqual([]);
  });

  test('by many planners that run side by side', async () => {
    const found: number[] = [];
    await inParallel([...Array(12).keys()], async () => {
      const fleet = await mates();
      const [one = '', other = ''] = fleet.ids;
      const orders = [[one, other], [other, one], [one], [other]];
      await Promise.all(orders.map((ids) => plan(fleet.deps, ids)));
      found.push((await underWay(fleet)).length);
    });
    expect(new Set(found)).toEqual(new Set([1]));
  });

  test('unless by a person, wherever the planner stands still meanwhile: then that person is told', async () => {
    const { found } = await atEveryMoment(async (fleet, calls, planner, at) => {
      let asked: Requested | undefined;
      calls.arm();
      calls.interlude = { at, act: async () => void (asked = await rotate(fleet.deps, fleet.names[1])) };
      await plan(planner, fleet.ids);
      const busy = await underWay(fleet);
      const told = asked?.beside.some((text) => text.includes(`${fleet.names[0]} is being rotated`)) === true;
      return busy.length === (told ? 2 : 1) ? [] : [`${busy.length} under way, told: ${told}`];
    });
    expect(found).toEqual([]);
  });

  // Of six agents with 19 more each: a transaction takes 100 items, whatever this is over.
  test('however many credentials it is over, by two planners of which one stands still before it starts', async () => {
    const agents = Array.from({ length: 6 }, (_each, n) => `agent-${n}`);
    const names = Array.from({ length: 1 + 6 * 19 }, () => `name-${randomUUID()}`);
    const holdersOf = (n: number) => (n === 0 ? agents : [agents[Math.floor((n - 1) / 19)] ?? '']);
    const fleet = await dueFleet(table, names.length, (n) => ({
      name: names[n] ?? '',
      holders: holdersOf(n).map((name) => ({ kind: 'client', name, principal: 'arn:a' }) as const),
    }));
    // Due, the last one included.
    fleet.clock.now += 5 * 86_400_000;
    for (const [n, agent] of agents.entries())
      await staggers(fleet, agent, [names[0] ?? '', ...names.slice(1 + n * 19, 20 + n * 19)]);
    const [shared = '', last = ''] = [fleet.ids[0], fleet.ids.at(-1)];
    const { ledger } = fleet.deps;
    let beside: PlanAnswer | undefined;
    const standing = instead(ledger, {
      commit: async (change) => {
        // Once: the first planner has decided to start, and the other one runs meanwhile.
        beside ??= await plan(fleet.deps, [last]);
        return ledger.commit(change);
      },
    });
    const answer = await plan({ ...fleet.deps, ledger: standing }, [shared]);
    expect([...answer.failed, ...(beside?.failed ?? [])]).toEqual([]);
    expect([beside?.started, answer.started]).toEqual([[last], []]);
    expect((await underWay(fleet)).map(({ id }) => id)).toEqual([last]);
    expect((await rotate(fleet.deps, names[0] ?? '')).beside).toHaveLength(1);
  });

  test('and what no agent has in common starts side by side', async () => {
    const agents = Array.from({ length: 6 }, (_each, n) => `agent-${n}`);
    const names = agents.flatMap(() => [`name-${randomUUID()}`, `name-${randomUUID()}`]);
    const pairOf = (n: number) => names.slice(2 * n, 2 * n + 2);
    const fleet = await dueFleet(table, names.length, (n) => ({
      name: names[n] ?? '',
      holders: [{ kind: 'client', name: agents[Math.floor(n / 2)] ?? '', principal: 'arn:a' }],
    }));
    for (const [n, agent] of agents.entries()) await staggers(fleet, agent, pairOf(n));
    const answers = await Promise.all(
      agents.map((_agent, n) => plan(fleet.deps, fleet.ids.slice(2 * n, 2 * n + 2))),
    );
    expect(answers.flatMap(({ failed }) => failed)).toEqual([]);
    expect(answers.map(({ started }) => started.length)).toEqual(agents.map(() => 1));
  });

  test('where the agent gets one of the two from another agent, whichever is due first', async () => {
    const names = [`orders-${randomUUID()}`, `stock-${randomUUID()}`] as const;
    const holders = ['parent', 'checkout'].map(
      (name) => [{ kind: 'client', name, principal: 'arn:a' }] as const,
    );
    for (const first of [0, 1]) {
      const fleet = await dueFleet(table, 2, (n) => ({ name: names[n] ?? '', holders: holders[n] ?? [] }));
      await staggers(fleet, 'checkout', names);
      await staggers(fleet, 'parent', [names[0]], ['checkout']);
      const order = [fleet.ids[first] ?? '', fleet.ids[1 - first] ?? ''];
      expect(await plan(fleet.deps, order)).toMatchObject({ started: [order[0]], failed: [] });
    }
  });

  test('by a call of Secrets Manager that nobody planned: it is refused, and its empty version cleared', async () => {
    const { deps, ids, names } = await mates();
    await plan(deps, ids);
    const cleared: string[] = [];
    const vault = instead(deps.vault, {
      stripPending: async (_secret, version) => void cleared.push(version),
    });
    const secret = { arn: 'arn:s', name: 's', versions: {}, rotationEnabled: true, tags: {} };
    const call = createSecret({ ...deps, vault }, { credentialId: ids[1] ?? '', token: 'unplanned', secret });
    const refusal: unknown = await call.catch((error: unknown) => error);
    if (!isRekeyError(refusal, 'ERR_ROTATION_UNDER_WAY')) throw refusal;
    expect(refusal.message).toContain(`${names[0]} is being rotated`);
    expect(refusal.remedy).toContain(`rekey rotate ${names[1]}`);
    expect(cleared).toEqual(['unplanned']);
  });
});

describe('whoever is held by a stagger past its deadline', () => {
  test('is told of once, with who holds it and since when, and starts when that is over', async () => {
    const fleet = await mates();
    const { deps, ids, clock, names } = fleet;
    await plan(deps, ids);
    const began = clock.now;
    const { ledger } = deps;
    const holder = await ledger.credential(ids[0] ?? '');
    if (holder === undefined) throw new Error('it is gone');
    await ledger.attach({ ...holder, paused: { since: holder.updatedAt, actor: 'arn:o', reason: 'freeze' } });
    const overdue = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const record of ledger.records(ids[1] ?? ''))
        if (record.message === 'rotation-overdue') found.push(record.entity.data.evidence);
      return found;
    };
    for (let hour = 0; hour < 60; hour++) {
      clock.now += 3_600_000;
      await planDue(deps, BUDGET);
    }
    const [evidence, ...more] = await overdue();
    expect(more).toEqual([]);
    expect(JSON.parse(evidence ?? '{}')).toMatchObject({
      waitsFor: expect.stringMatching(
        new RegExp(`checkout .*${names[0]} is being rotated \\(.*paused since .*freeze`),
      ),
      waitsSince: new Date(began).toISOString(),
    });
    const held = await ledger.credential(ids[0] ?? '');
    if (held === undefined) throw new Error('it is gone');
    const { activeRotation: _over, paused: _ended, ...rest } = held;
    await ledger.attach({ ...rest, mode: 'observe' });
    clock.now += 16 * 60_000;
    expect((await planDue(deps, BUDGET)).started).toEqual([ids[1]]);
    expect((await ledger.credential(ids[1] ?? ''))?.plan).not.toHaveProperty('waitsFor');
  });
});

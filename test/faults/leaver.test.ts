import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownTo } from '../../shared/domain/leaver.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { witnessesOf } from '../../shared/engine/knowledge.ts';
import { rotateAll } from '../../shared/engine/staged.ts';
import { dueFleet, type DueFleet } from '../support/due-fleet.ts';
import { MODES } from '../support/explore.ts';
import { Calls, faulty, Process } from '../support/faulty.ts';
import { inParallel } from '../support/in-parallel.ts';
import { startTable } from '../support/table.ts';

let table: Awaited<ReturnType<typeof startTable>>;
beforeAll(async () => {
  table = await startTable('leaver-test');
});
afterAll(async () => {
  await table.stack.stop();
});

const SIZE = 4;
const TRIGGER = { kind: 'operator', actor: 'arn:o', reason: 'ada leaves' } as const;

/** Credentials that a person is declared to know. */
async function known(): Promise<DueFleet> {
  const fleet = await dueFleet(table, SIZE);
  for (const id of fleet.ids) {
    const head = await fleet.deps.ledger.credential(id);
    if (head !== undefined)
      await fleet.deps.ledger.attach({ ...head, knownBy: [{ name: 'ada', version: id }] });
  }
  return { ...fleet, deps: { ...fleet.deps, readers: { ...fleet.deps.readers, of: async () => [] } } };
}

/** One order to rotate all that she knows, as the API carries it out; by act, how many there were. */
async function order(deps: EngineDeps): Promise<Record<string, number>> {
  const { items } = await deps.ledger.list();
  const { credentials } = knownTo('ada', await witnessesOf(deps, items), []);
  const { done, left } = await rotateAll(deps, {
    affected: credentials.map(({ witness: { credential, rotation }, versions }) => ({
      credential,
      rotation,
      versions,
    })),
    trigger: TRIGGER,
    incidentId: 'HR-77',
    dryRun: false,
    until: Number.POSITIVE_INFINITY,
  });
  expect(left).toBe(0);
  const acts = Map.groupBy(done, (each) => each.done.act);
  return Object.fromEntries([...acts].map(([act, ones]) => [act, ones.length]));
}

/** A process that `calls` may make fail. */
function fragile(deps: EngineDeps, calls: Calls): EngineDeps {
  const none = (): never => {
    throw new Error('an order has no part in this');
  };
  const others = { events: { publish: none }, watch: { service: none, redeploy: none, function: none } };
  return faulty({ ...deps, ...others }, calls, new Process());
}

/** What isn't as it must be once an order was completed. */
async function wrongWith({ deps, ids, started }: DueFleet): Promise<string[]> {
  const found = await Promise.all(
    ids.map(async (id) => {
      const rotations = await deps.ledger.rotations(id, 10);
      const told: string[] = [];
      for await (const { message, entity } of deps.ledger.records(id))
        if (message === 'rotation-announced') told.push(`${entity.data.incident}: ${entity.data.reason}`);
      return [
        ...(rotations.length === 1 ? [] : [`${rotations.length} rotations of ${id}`]),
        ...(told.join() === 'HR-77: ada leaves' ? [] : [`${id} tells ${told.join()}`]),
        ...(started.includes(id) ? [] : [`nothing drives the rotation of ${id}`]),
      ];
    }),
  );
  return found.flat();
}

describe('an order to rotate all that a person knows', () => {
  test('starts each once, with its ticket and its reason; again it starts nothing', async () => {
    const fleet = await known();
    expect(await order(fleet.deps)).toEqual({ started: SIZE });
    expect(await order(fleet.deps)).toEqual({ joined: SIZE });
    expect(await wrongWith(fleet)).toEqual([]);
  });

  test('twice at once starts nothing twice', async () => {
    const fleet = await known();
    const answers = await Promise.all([order(fleet.deps), order(fleet.deps), order(fleet.deps)]);
    expect(answers.reduce((sum, { started = 0 }) => sum + started, 0)).toBe(SIZE);
    expect(answers.flatMap((acts) => Object.keys(acts)).filter((act) => act === 'refused')).toEqual([]);
    expect(await wrongWith(fleet)).toEqual([]);
  });

  test.each(MODES)('is completed by the same order again, wherever one goes wrong (%s)', async (mode) => {
    const dry = await known();
    const counted = new Calls();
    counted.arm();
    await order(fragile(dry.deps, counted));
    expect(counted.labels.filter((label) => label === 'workflow.startLifecycle')).toHaveLength(SIZE);
    const found: string[] = [];
    await inParallel(
      counted.labels.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const fleet = await known();
        const calls = new Calls();
        calls.arm({ at, mode });
        const first = await order(fragile(fleet.deps, calls)).catch(() => 'died');
        if (!calls.struck) found.push(`${at}: the fault never came`);
        await order(fleet.deps);
        const wrong = await wrongWith(fleet);
        found.push(
          ...wrong.map((what) => `${mode} ${at} (${label}), first ${JSON.stringify(first)}: ${what}`),
        );
      },
    );
    expect(found).toEqual([]);
  });
});

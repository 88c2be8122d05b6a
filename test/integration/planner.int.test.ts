import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dueOf } from '../../shared/domain/calendar.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { planDue, realignAll } from '../../shared/engine/plan.ts';
import { requestRotation } from '../../shared/engine/requests.ts';
import { dueFleet, staggers } from '../support/due-fleet.ts';
import { startTable } from '../support/table.ts';

const MINUTE_MS = 60_000;
const BUDGET = { maxStarts: 9, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };

/** The evidence in the records of one kind, of one credential. */
async function evidenceOf(
  { ledger }: Pick<EngineDeps, 'ledger'>,
  id: string,
  action: string,
): Promise<string> {
  const found: string[] = [];
  for await (const record of ledger.records(id))
    if (record.message === action) found.push(record.entity.data.evidence);
  return found.join('\n');
}

function never(): never {
  throw new Error('it is gone');
}

let table: Awaited<ReturnType<typeof startTable>>;
beforeAll(async () => {
  table = await startTable('planner-test');
});
afterAll(async () => {
  await table.stack.stop();
});

describe('a run of the planner over many', () => {
  test('takes as many as it may, the earliest first and paced; the next runs take the rest, each one once', async () => {
    const { ids, started, deps } = await dueFleet(table, 7);
    const pauses: number[] = [];
    const budget = {
      maxStarts: 3,
      paceMs: 250,
      pause: async (ms: number) => void pauses.push(ms),
      until: Number.POSITIVE_INFINITY,
    };
    const lefts: number[] = [];
    for (let run = 0; run < 4; run++) lefts.push((await planDue(deps, budget)).left);
    expect(lefts).toEqual([4, 1, 0, 0]);
    expect(started).toEqual(ids);
    expect(pauses).toEqual(ids.map(() => 250));
  });

  test('ends in time and leaves the rest', async () => {
    const { ids, started, deps, clock } = await dueFleet(table, 3);
    const pause = async (): Promise<void> => {
      clock.now += 1000;
    };
    const until = clock.now + 1500;
    expect(await planDue(deps, { maxStarts: 9, paceMs: 0, pause, until })).toMatchObject({ left: 1 });
    expect(started).toEqual(ids.slice(0, 2));
  });

  test('one that fails keeps no other from its turn, and is told with its code', async () => {
    const { ids, started, refused, deps } = await dueFleet(table, 4);
    refused.add(ids[0] ?? '').add(ids[2] ?? '');
    const budget = { maxStarts: 2, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
    const answer = await planDue(deps, budget);
    expect(started).toEqual([ids[1], ids[3]]);
    expect(answer).toMatchObject({ started, left: 0 });
    expect(answer.failed).toEqual(
      [ids[0], ids[2]].map((credentialId) => ({ credentialId, code: 'ERR_INTERNAL' })),
    );
  });

  test('never breaks the stagger of an agent that changes credentials between its sessions, and says why', async () => {
    const holders = [{ kind: 'client', name: 'checkout', principal: 'arn:a' }] as const;
    const names = ['orders-db', 'stock-db'];
    const { ids, started, deps, clock, agents } = await dueFleet(table, 2, (n) => ({
      name: names[n] ?? '',
      holders,
    }));
    await staggers({ agents }, 'checkout', names);
    expect(await planDue(deps, BUDGET)).toMatchObject({ started: [ids[0]], failed: [], left: 0 });
    const waiting = await deps.ledger.credential(ids[1] ?? '');
    expect(waiting?.plan).toMatchObject({ waitsFor: expect.stringContaining('orders-db is being rotated') });
    expect(await planDue(deps, BUDGET)).toMatchObject({ started: [] });
    // The other one has ended: it is looked at again by itself.
    const other = await deps.ledger.credential(ids[0] ?? '');
    if (other?.current === undefined) throw new Error('the other credential is gone');
    const { activeRotation: _over, ...ended } = other;
    await deps.ledger.attach({ ...ended, current: { ...other.current, issuedAt: toInstant(clock.now) } });
    clock.now += 16 * 60_000;
    expect((await planDue(deps, BUDGET)).started).toEqual([ids[1]]);
    expect(started).toEqual(ids);
  });

  test('rotates a master before its dependants, and never beside them', async () => {
    const { ids, deps } = await dueFleet(table, 2, (n) =>
      n === 0 ? { adminSecret: 'masters/orders' } : { secretName: 'masters/orders' },
    );
    expect((await planDue(deps, BUDGET)).started).toEqual([ids[1]]);
    const dependant = await deps.ledger.credential(ids[0] ?? '');
    expect(dependant?.plan?.waitsFor).toContain('is due, and goes first');
  });

  test('holds a master back while a dependant is under way, and the other dependants behind it, until its deadline', async () => {
    const { ids, deps, clock } = await dueFleet(table, 3, (n) =>
      n === 2 ? { secretName: 'masters/stock' } : { adminSecret: 'masters/stock' },
    );
    const [dependant = '', other = '', master = ''] = ids;
    // A person goes before the master that is due.
    const { beside } = await requestRotation(deps, {
      name: dependant,
      token: randomUUID(),
      trigger: { kind: 'operator', actor: 'arn:o' },
    });
    expect(beside).toEqual([expect.stringContaining('is due, and goes first')]);
    expect((await planDue(deps, BUDGET)).started).toEqual([]);
    const held = await deps.ledger.credential(master);
    expect(held?.plan?.waitsFor).toMatch(/administrative login of others: name-.* is being rotated \(since /);
    const since = held?.plan?.waitsSince;
    clock.now += 16 * MINUTE_MS;
    expect((await planDue(deps, BUDGET)).started).toEqual([]);
    expect((await deps.ledger.credential(master))?.plan?.waitsSince).toBe(since);
    expect((await deps.ledger.credential(other))?.plan?.waitsFor).toContain('is due, and goes first');
    // Past its deadline it goes beside the dependant, and says so.
    clock.now = Date.parse(dueOf(held ?? never())?.deadline ?? '');
    const late = await planDue(deps, BUDGET);
    expect(late.started).toContain(master);
    expect(await evidenceOf(deps, master, 'rotation-announced')).toContain('is being rotated');
  });

  test('the walk goes through every page, and says so where its time is over', async () => {
    const { deps } = await dueFleet(table, 105);
    expect(await realignAll(deps, Number.POSITIVE_INFINITY)).toEqual({
      looked: 105,
      moved: 0,
      complete: true,
    });
    expect(await realignAll(deps, 0)).toEqual({ looked: 0, moved: 0, complete: false });
  });

  test('never scans the table', () => {
    const operations = new Set(table.stack.gateway.recorder.calls().map(({ operation }) => operation));
    expect(operations).toContain('Query');
    expect(operations).not.toContain('Scan');
  });
});

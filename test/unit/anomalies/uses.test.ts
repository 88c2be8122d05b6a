import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { judgeUses } from '../../../shared/engine/anomalies/uses.ts';
import { instant, Reporting } from '../../support/reporting.ts';

describe('reports of uses', () => {
  it('teach what is usual of an agent and a credential, and an hour or a number that is not waits to be weighed', async () => {
    const usual = new Reporting();
    await usual.days(10);
    expect(usual.found).toEqual([]);
    await usual.hour(10, 20, 25);
    await usual.judge(instant(10, 21, 30));
    expect(usual.found).toEqual(['hour checkout 20']);
    const often = new Reporting();
    await often.days(10);
    await often.hour(10, 10, 500);
    await often.judge(instant(10, 11, 30));
    expect(often.found).toEqual(['volume checkout 2026-09-17']);
  });

  it('are summed up over the instances of an agent, refusals among them, and told apart by agent', async () => {
    const world = new Reporting();
    world.credentials.length = 0;
    world.add('orders', 'checkout', 'search');
    await world.days(10);
    const at = instant(10, 10, 1);
    for (let n = 0; n < 30; n++) await world.report(at, 20, { session: `s-${n}`, refused: 2 });
    await world.report(at, 20, { agent: 'search' });
    await world.judge(instant(10, 10, 45));
    expect(world.found).toEqual(['volume checkout 2026-09-17']);
    expect([...world.baselines.waiting.values()][0]?.text).toContain('660 times within an hour');
  });

  it('of an idle agent, which are zeros, cost no write but that of how far it has come', async () => {
    const world = new Reporting();
    await world.hour(0, 9, 0);
    await world.judge(instant(0, 9, 45));
    await world.judge(instant(0, 10, 0));
    expect(world.baselines.known).toEqual({});
  });

  it('are judged a quarter of an hour after their slot, which is when all of it has come', async () => {
    const world = new Reporting();
    await world.hour(0, 9, 10);
    expect(await world.judge(instant(0, 9, 29))).toMatchObject({ slots: 1 });
    expect(world.baselines.known).toEqual({});
    expect(await world.judge(instant(0, 9, 30))).toMatchObject({ slots: 1 });
    expect(world.baselines.known['agents/orders ["agent","checkout"]']).toMatchObject({
      open: [{ hour: '2026-09-07T09', count: 10 }],
    });
  });

  it('that nobody has judged for hours are caught up with, and a day later they are too old', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    for (const hour of [9, 10, 11]) await world.hour(0, hour, 25);
    expect(await world.judge(instant(0, 12, 30))).toMatchObject({ slots: 14 });
    expect(world.baselines.known['agents/orders ["agent","checkout"]']).toMatchObject({
      days: [{ day: '2026-09-07', traits: { hour: ['09', '10', '11'] } }],
    });
    expect((await world.judge(instant(5, 0, 0))).slots).toBe(95);
  });

  it('count once, wherever the process dies and however often a slot is judged', async () => {
    const calm = new Reporting(1);
    await calm.days(10);
    await calm.hour(10, 10, 500);
    await calm.judge(instant(10, 11, 30));
    const troubled = new Reporting(1);
    troubled.add('stock', 'checkout');
    calm.add('stock', 'checkout');
    let beats = 0;
    troubled.baselines.before = () => {
      if (++beats % 3 === 0) throw new RekeyError('ERR_UNAVAILABLE', 'killed');
    };
    const judge = troubled.judge.bind(troubled);
    troubled.judge = async (at) => {
      for (let attempt = 0; attempt < 500; attempt++) {
        try {
          return await judge(at);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE' });
        }
      }
      throw new Error('it never comes to an end');
    };
    await troubled.days(10);
    await troubled.hour(10, 10, 500);
    await troubled.judge(instant(10, 11, 30));
    expect(troubled.baselines.known).toEqual(calm.baselines.known);
    expect(troubled.found).toEqual(calm.found);
  });

  it('of one credential are judged although those of another can not be, and then its page is done again', async () => {
    const world = new Reporting();
    world.add('stock', 'checkout');
    await world.report(instant(0, 9, 1), 10);
    await world.report(instant(0, 9, 1), 10, { of: 'stock' });
    await world.judge(instant(0, 9, 15));
    const useLog = world.agents.useLog.bind(world.agents);
    const broken = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    world.agents.useLog = (id, from, to) => {
      if (id === 'id-orders') throw broken;
      return useLog(id, from, to);
    };
    await expect(world.judge(instant(0, 9, 30))).rejects.toBe(broken);
    expect(Object.keys(world.baselines.known)).toEqual(['agents/stock ["agent","checkout"]']);
    world.agents.useLog = useLog;
    expect(await world.judge(instant(0, 9, 30))).toMatchObject({ slots: 1, credentials: 2 });
    expect(Object.values(world.baselines.known).map(({ open }) => open[0]?.count)).toEqual([10, 10]);
  });

  it('of one credential that can not be judged for hours keep no others waiting, and it fails all the same', async () => {
    const world = new Reporting();
    world.add('stock', 'checkout');
    for (const hour of [9, 10, 11, 12]) await world.report(instant(0, hour, 1), 10, { of: 'stock' });
    await world.judge(instant(0, 9, 15));
    const broken = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    const useLog = world.agents.useLog.bind(world.agents);
    world.agents.useLog = (id, from, to) => {
      if (id === 'id-orders') throw broken;
      return useLog(id, from, to);
    };
    await expect(world.judge(instant(0, 12, 45))).rejects.toBe(broken);
    expect(world.baselines.known['agents/stock ["agent","checkout"]']).toMatchObject({
      open: [
        { hour: '2026-09-07T09', count: 10 },
        { hour: '2026-09-07T10', count: 10 },
      ],
    });
  });

  it('of many credentials go on with the next page where the time of a run is over', async () => {
    const world = new Reporting(1);
    world.add('stock', 'checkout');
    await world.judge(instant(0, 9, 15));
    world.lists.length = 0;
    const clock = Date.parse(instant(0, 9, 30));
    let asked = 0;
    const deps = { ...world.deps, clock: () => clock + asked++ };
    await judgeUses(deps, clock + 4);
    await judgeUses(deps, Infinity);
    expect(world.lists).toEqual([undefined, '1']);
  });
});

describe('outside of the pact', () => {
  it('are more uses in an hour than it says, at once and without a baseline', async () => {
    const world = new Reporting();
    await world.pact('checkout', { credential: 'orders', usesPerHour: 100 });
    await world.judge(instant(0, 9, 0));
    await world.hour(0, 9, 25);
    await world.judge(instant(0, 10, 0));
    expect(world.found).toEqual([]);
    await world.hour(0, 10, 26);
    await world.judge(instant(0, 11, 30));
    expect(world.found).toEqual(['outside checkout 2026-09-07']);
    expect([...world.baselines.waiting.values()][0]?.text).toBe(
      '104 times within an hour, when its pact says 100 at most',
    );
  });

  it('are not those of another credential of the pact, nor those of a pact that says nothing', async () => {
    const world = new Reporting();
    await world.pact('checkout', { credential: 'stock', usesPerHour: 1 });
    await world.hour(0, 9, 25);
    await world.judge(instant(0, 10, 30));
    expect(world.found).toEqual([]);
  });

  it('are uses of a credential that is none of the agent’s, each told once', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    await world.agents.stray({ credentialId: 'id-orders', agent: 'stranger', at: instant(0, 9, 3) });
    await world.agents.stray({ credentialId: 'id-gone', agent: 'stranger', at: instant(0, 9, 3) });
    await world.judge(instant(0, 9, 30));
    await world.judge(instant(0, 9, 45));
    expect(world.found).toEqual(['stray stranger pact']);
  });

  it('are told of the others where one can’t be looked up, and that one is tried again', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    for (const agent of ['first', 'second'])
      await world.agents.stray({ credentialId: 'id-orders', agent, at: instant(0, 9, 3) });
    const failing = {
      ...world.deps,
      clock: () => Date.parse(instant(0, 9, 30)),
      ledger: { ...world.deps.ledger, credential: once(world.deps.ledger.credential) },
    };
    await expect(judgeUses(failing)).rejects.toThrow('throttled');
    expect(world.found).toEqual(['stray second pact']);
    await judgeUses(failing);
    expect(world.found).toHaveLength(2);
  });

  it('are told of a few credentials where an agent names many', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    for (let n = 0; n < 20; n++)
      await world.agents.stray({ credentialId: 'id-orders', agent: 'stranger', at: instant(0, 9, 3) });
    await world.agents.stray({ credentialId: 'id-orders', agent: 'other', at: instant(0, 9, 3) });
    expect(await world.judge(instant(0, 9, 30))).toMatchObject({ unusual: 6 });
  });
});

/** Fails the first time. */
function once<Args extends unknown[], T>(call: (...args: Args) => Promise<T>) {
  let failed = false;
  return async (...args: Args): Promise<T> => {
    if (failed) return call(...args);
    failed = true;
    throw new RekeyError('ERR_UNAVAILABLE', 'throttled');
  };
}

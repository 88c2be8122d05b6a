import { describe, expect, it } from 'vitest';
import { suspicionOf, type Suspicion } from '../../../shared/domain/anomalies/suspicion.ts';
import type { Finding } from '../../../shared/domain/anomalies/judge.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import { weighSuspicions } from '../../../shared/engine/anomalies/weigh.ts';
import { role, VALUE, weighing } from '../../support/weighing.ts';

describe('what is unusual', () => {
  it('of one credential is told although that of another can not be, which fails the run once all had their turn', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    world.add('stock', `${VALUE}-too`, { secretName: 'agents/stock' });
    const { ledger } = deps.signals;
    const { commit } = ledger;
    const broken = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    Object.assign(ledger, {
      commit: async (change: Parameters<typeof commit>[0]) =>
        change.after.name === 'orders' ? Promise.reject(broken) : commit(change),
    });
    await suspect();
    await suspect({}, 'crawler', 'agents/stock');
    await expect(weighSuspicions(deps)).rejects.toBe(broken);
    expect(world.drafts).toMatchObject([{ action: 'anomaly-seen' }]);
    expect((await baselines.suspicions()).map(({ secret }) => secret)).toEqual(['agents/orders']);
  });

  it('is told in the trail of the credential, with every reason and its weight, and does nothing else', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    await suspect();
    await suspect({ rule: 'hour', what: '03', text: 'at 03 h UTC' });
    expect(await weighSuspicions(deps)).toEqual({ told: 2, explained: 0, waiting: 0, overBudget: 0 });
    expect(world.drafts).toMatchObject([
      {
        action: 'anomaly-seen',
        trigger: { kind: 'signal', actor: 'signal:anomaly' },
        evidence: {
          outcome: 'told',
          severity: 'high',
          reasons: [
            { rule: 'network', who: role('crawler'), text: 'from 198.51.100.0/24; no declared holder' },
            { rule: 'hour', text: 'at 03 h UTC; no declared holder' },
          ],
        },
      },
    ]);
    expect([world.emergencies, world.rotations, [...world.kept]]).toEqual([[], [], []]);
    expect([...baselines.waiting]).toEqual([]);
  });

  it('weighs little where it is the hour alone, more by the network, most by somebody new', async () => {
    const severity = async (...rules: Finding['rule'][]): Promise<unknown> => {
      const { world, deps, suspect } = await weighing();
      for (const rule of rules) await suspect({ rule, what: rule });
      await weighSuspicions(deps);
      return world.drafts.map(({ evidence }) => (evidence as { severity: string }).severity).join();
    };
    expect(await severity('hour')).toBe('low');
    expect(await severity('hour', 'volume')).toBe('medium');
    expect(await severity('network')).toBe('medium');
    expect(await severity('network', 'hour')).toBe('high');
    expect(await severity('reader')).toBe('high');
  });

  it('by a declared holder is said to be by one; a new reader that is declared is none at all', async () => {
    const holders: readonly Holder[] = [
      { kind: 'polling', name: 'fleet', ttlSeconds: 60, principal: role('crawler') },
    ];
    const { world, deps, suspect } = await weighing({ holders });
    await suspect({ rule: 'reader', what: 'crawler' });
    expect(await weighSuspicions(deps)).toMatchObject({ told: 0, explained: 1 });
    await suspect();
    await weighSuspicions(deps);
    expect(JSON.stringify(world.drafts[0]?.evidence)).toContain('declared as fleet');
  });

  it('is a reader outside of the declaration at once where every holder says as whom it reads', async () => {
    const named: readonly Holder[] = [
      { kind: 'polling', name: 'fleet', ttlSeconds: 60, principal: role('crawler') },
    ];
    const nameless: readonly Holder[] = [{ kind: 'polling', name: 'fleet', ttlSeconds: 60 }];
    for (const [holders, rules] of [
      [named, ['undeclared']],
      [nameless, []],
      [[], []],
    ] as const) {
      const { world, deps, suspect } = await weighing({ holders });
      await suspect({ rule: 'reader', what: 'stranger', isEarly: true }, 'stranger');
      await weighSuspicions(deps);
      const reasons = world.drafts.flatMap(
        ({ evidence }) => (evidence as { reasons: { rule: string }[] }).reasons,
      );
      expect(reasons.map(({ rule }) => rule)).toEqual(rules);
    }
  });

  it('rotates where the settings say so and tells as well; what can not be rotated now is told, and never held', async () => {
    const { world, deps, suspect } = await weighing({}, { unusual: 'rotate' });
    await suspect();
    await weighSuspicions(deps);
    expect([world.rotations.length, world.records]).toEqual([1, ['anomaly-seen']]);
    const paused = await weighing({}, { unusual: 'rotate' });
    paused.world.refuseRotations = new RekeyError('ERR_PAUSED', 'paused');
    await paused.suspect();
    await weighSuspicions(paused.deps);
    expect([paused.world.records, [...paused.world.kept]]).toEqual([['anomaly-seen'], []]);
  });

  it('rotates nothing for what an agent says of a credential that it does not hold, unless something else is unusual', async () => {
    const { world, deps, suspect } = await weighing({}, { unusual: 'rotate' });
    await suspect({ rule: 'stray', what: 'pact', text: 'reports uses of it' });
    await weighSuspicions(deps);
    expect([world.rotations, world.records]).toEqual([[], ['anomaly-seen']]);
    const both = await weighing({}, { unusual: 'rotate' });
    await both.suspect({ rule: 'stray', what: 'pact', text: 'reports uses of it' });
    await both.suspect();
    await weighSuspicions(both.deps);
    expect(both.world.rotations).toHaveLength(1);
  });

  it('is never an emergency, whatever the settings and however much there is of it', async () => {
    for (const unusual of ['tell', 'rotate'] as const) {
      const { world, deps, suspect } = await weighing({}, { unusual });
      for (let n = 0; n < 50; n++) await suspect({ what: `10.0.${n}.0/24` }, `stranger-${n}`);
      await weighSuspicions(deps);
      expect([world.emergencies, world.records]).toEqual([[], ['anomaly-seen']]);
    }
  });

  it('of what is only observed is told as well, and nobody is asked to revoke it', async () => {
    const { world, deps, suspect } = await weighing({ adoption: 'observed' }, { unusual: 'rotate' });
    await suspect();
    await weighSuspicions(deps);
    expect([world.records, world.rotations]).toEqual([['anomaly-seen'], []]);
  });

  it('of a secret without a credential is nothing', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    await suspect({}, 'crawler', 'agents/other');
    expect(await weighSuspicions(deps)).toMatchObject({ explained: 1 });
    expect([world.records, [...baselines.waiting]]).toEqual([[], []]);
  });
});

describe('what an agent or an upstream tells', () => {
  const agent = { kind: 'agent', principal: 'checkout' } as const;
  const outside: Finding = { rule: 'outside', what: 'pact', text: 'more than its pact says' };
  const reasonsOf = async (
    finding: Finding,
    who: Suspicion['reader'],
    holders: readonly Holder[] = [],
  ): Promise<object[]> => {
    const { world, deps, baselines } = await weighing({ holders });
    await baselines.suspect(suspicionOf('agents/orders', who, toInstant(world.now), finding));
    await weighSuspicions(deps);
    return world.drafts.map(({ evidence }) => evidence as object);
  };

  it('is said with the agent, and whether it is declared; outside of its pact weighs most', async () => {
    const client: Holder = { kind: 'client', name: 'checkout', principal: role('checkout') };
    expect(await reasonsOf(outside, agent, [client])).toMatchObject([
      {
        severity: 'high',
        reasons: [
          { rule: 'outside', who: 'agent checkout', text: 'more than its pact says; declared as checkout' },
        ],
      },
    ]);
    expect(JSON.stringify(await reasonsOf(outside, agent))).toContain('no declared holder');
  });

  it('is a workflow by the name of its source; one that is new is explained by a holder of that name or principal', async () => {
    const found: Finding = { rule: 'reader', what: 'report', text: 'never seen' };
    const workflow = { kind: 'workflow', principal: 'report', name: 'database-log' } as const;
    const named: Holder = { kind: 'polling', name: 'report', ttlSeconds: 60 };
    const other: Holder = { kind: 'polling', name: 'fleet', ttlSeconds: 60, principal: role('fleet') };
    expect(await reasonsOf(found, workflow, [named])).toEqual([]);
    expect(await reasonsOf({ ...found, isEarly: true }, workflow, [other])).toEqual([]);
    expect(await reasonsOf(found, workflow, [other])).toMatchObject([
      { severity: 'high', reasons: [{ rule: 'reader', who: 'database-log (report)' }] },
    ]);
  });

  it('is never settled by what others are told of: a resource weighs as a network does', async () => {
    const touched: Finding = { rule: 'resource', what: 'payroll', text: 'touched payroll' };
    expect(await reasonsOf(touched, agent)).toMatchObject([{ severity: 'medium' }]);
  });
});

describe('a flood of what is unusual', () => {
  it('pages once an hour for a credential: what comes on top waits and is told together', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    for (let minute = 0; minute < 120; minute += 5) {
      await suspect({ what: `10.${minute}.0.0/24` });
      await weighSuspicions(deps);
      world.now += 5 * 60_000;
    }
    expect(world.records).toEqual(['anomaly-seen', 'anomaly-seen']);
    await weighSuspicions(deps);
    const told = world.drafts.map(({ evidence }) => evidence as { reasons: unknown[]; more?: number });
    expect(told.map(({ reasons, more = 0 }) => reasons.length + more)).toEqual([1, 12, 11]);
    expect([...baselines.waiting]).toEqual([]);
  });

  it('stays within the budget of its source, and what is above it waits and is lost to nobody', async () => {
    const { world, deps, suspect, baselines } = await weighing({}, { perHour: 5 });
    for (let n = 0; n < 20; n++) {
      world.add(`c-${n}`, `value-of-${n}-0123456789`, { secretName: `agents/c-${n}` });
      await suspect({}, 'crawler', `agents/c-${n}`);
    }
    expect(await weighSuspicions(deps)).toEqual({ told: 5, explained: 0, waiting: 0, overBudget: 15 });
    expect([world.records.length, baselines.waiting.size]).toEqual([5, 15]);
    for (let hour = 0; hour < 3; hour++) {
      world.now += 3_600_000;
      await weighSuspicions(deps);
    }
    expect([world.records.length, baselines.waiting.size]).toEqual([20, 0]);
  });

  it('is told once where two weigh at the same time', async () => {
    const { world, deps, suspect } = await weighing();
    await suspect();
    await Promise.all([1, 2, 3].map(() => weighSuspicions(deps)));
    expect(world.records).toEqual(['anomaly-seen']);
  });
});

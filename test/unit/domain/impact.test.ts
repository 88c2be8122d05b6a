import { describe, expect, it } from 'vitest';
import { impactOf, type Milestone, type PredictedMoment } from '../../../shared/domain/impact.ts';
import type { Session } from '../../../shared/domain/agents.ts';
import type { KnownAgent } from '../../../shared/domain/client-evidence.ts';
import { leadSeconds } from '../../../shared/domain/calendar.ts';
import { refusalsNow } from '../../../shared/engine/start.ts';
import { credentialOf, NOW, rotationOf } from '../api/fakes.ts';

const at = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString();
const when = (moments: readonly PredictedMoment[], milestone: Milestone): string | undefined =>
  moments.find((moment) => moment.milestone === milestone)?.at;
const MINUTE = 60;
const base = credentialOf();
const withPolicy = (changes: Partial<typeof base.policy>) =>
  credentialOf({ policy: { ...base.policy, ...changes } });

describe('the impact of a rotation: agents in session', () => {
  const holder = { kind: 'client', name: 'checkout', principal: 'arn:aws:iam::111122223333:role/a' } as const;
  const credential = credentialOf({ holders: [holder] });
  const session = (instance: string, openedAt: string, more: Partial<Session> = {}): Session => ({
    agent: 'checkout',
    id: instance,
    instance,
    key: { kind: 'sealed', sealed: '' },
    thumbprint: '',
    openedAt,
    seenAt: at(-10),
    keptUntil: at(1e6),
    holds: [],
    ...more,
  });
  const agent = (refresh: 'in-session' | 'between-sessions', sessions: readonly Session[]): KnownAgent => ({
    name: 'checkout',
    pact: {
      agent: 'checkout',
      credentials: [
        {
          credential: credential.name,
          refresh,
          ttlSeconds: 60,
          staleLimitSeconds: 60,
          uses: 'unreported',
          delegates: [],
        },
      ],
      checkpoint: false,
      sessionLimitSeconds: 60 * MINUTE,
      version: 1,
      actor: 'arn:a',
      registeredAt: at(-9999),
    },
    sessions,
  });
  const open = [session('b', at(-10 * MINUTE)), session('a', at(-20 * MINUTE))];

  it('are counted; tasks of those that can’t change the value are at risk, the longest first', () => {
    const all = [
      ...open,
      session('c', at(-1), { closedAt: at(0) }),
      session('d', at(-1), { seenAt: at(-999) }),
    ];
    expect(impactOf(credential, NOW, [agent('in-session', all)]).inSession).toEqual([
      { name: 'checkout', sessions: 2, refresh: 'in-session', atRisk: [] },
    ]);
    expect(impactOf(credential, NOW, [agent('between-sessions', all)]).inSession[0]?.atRisk).toEqual([
      { instance: 'a', since: at(-20 * MINUTE) },
      { instance: 'b', since: at(-10 * MINUTE) },
    ]);
  });

  it('put the steps off to the end of the longest session that the pact allows', () => {
    const { deferral, now } = impactOf(credential, NOW, [agent('between-sessions', open)]);
    expect(deferral).toEqual({ agents: ['checkout'], begins: at(50 * MINUTE), until: at(60 * MINUTE) });
    expect(when(now, 'deferred')).toBe(at(0));
    expect(when(now, 'steps')).toBe(at(50 * MINUTE));
    expect(when(now, 'earliest-close')).toBe(at(80 * MINUTE));
  });

  it('put nothing off where they can, or none is in session', () => {
    expect(impactOf(credential, NOW, [agent('in-session', open)]).deferral).toBeUndefined();
    expect(impactOf(credential, NOW, [agent('between-sessions', [])]).deferral).toBeUndefined();
    expect(impactOf(credential, NOW).inSession).toEqual([]);
  });
});

describe('the impact of a rotation: its timeline', () => {
  it('has every instant of the window, the suspension and the revocation, in order', () => {
    const { now } = impactOf(withPolicy({ announceSeconds: 10 * MINUTE }), NOW);
    expect(now.map(({ milestone, at: instant }) => [milestone, instant])).toEqual([
      ['announcement', at(0)],
      ['steps', at(10 * MINUTE)],
      ['window-opens', at(10 * MINUTE)],
      ['earliest-close', at(40 * MINUTE)],
      ['suspension', at(40 * MINUTE)],
      ['revocation', at(40 * MINUTE + 90)],
      ['deadline', at(70 * MINUTE)],
      ['cap', at(250 * MINUTE)],
    ]);
  });

  it('waits with the suspension for a holder whose clock ends later than the window', () => {
    const slow = { kind: 'lambda' as const, name: 'fn', function: 'orders:live', ttlSeconds: 30 * MINUTE };
    const { now, affected } = impactOf(credentialOf({ holders: [...base.holders, slow] }), NOW);
    expect(when(now, 'suspension')).toBe(at(45 * MINUTE));
    expect(affected.map(({ movedBy }) => movedBy)).toEqual([at(5 * MINUTE), at(45 * MINUTE)]);
  });

  it('revokes at once where nothing soaks', () => {
    const { now } = impactOf(withPolicy({ soakSeconds: 0 }), NOW);
    expect([when(now, 'suspension'), when(now, 'revocation')]).toEqual([undefined, at(30 * MINUTE)]);
  });

  it('is also told for the planned start; past ones start now', () => {
    const { planned } = impactOf(base, NOW);
    const starts = Date.parse(base.current?.issuedAt ?? '') + (30 * 86_400 - leadSeconds(30 * 86_400)) * 1000;
    expect(planned?.startsAt).toBe(new Date(starts).toISOString());
    expect(when(planned?.moments ?? [], 'deadline')).toBe(new Date(starts + 3_600_000).toISOString());
    expect(impactOf(base, starts + 1000).planned?.startsAt).toBe(new Date(starts + 1000).toISOString());
  });

  it('says why it is not planned', () => {
    const rolledBack = { of: base.current?.versionId ?? '', attempts: 0, rolledBack: true };
    expect(impactOf(credentialOf({ plan: rolledBack }), NOW)).toMatchObject({
      notPlanned: expect.stringContaining('rolled back'),
    });
  });
});

describe('the impact of a rotation: who and what', () => {
  const holders = [
    { kind: 'polling', name: 'fleet', ttlSeconds: 900, agents: 40 },
    { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'shop' },
    { kind: 'lambda', name: 'fn', function: 'orders' },
    { kind: 'manual', name: 'report' },
  ] as const;

  it('names each holder with how it moves, and an instant only where a clock says it', () => {
    const { affected, agents, also } = impactOf(credentialOf({ holders }), NOW);
    expect(agents).toBe(43);
    expect(affected.map(({ name, movedBy }) => [name, movedBy])).toEqual([
      ['fleet', at(900)],
      ['web', undefined],
      ['fn', undefined],
      ['report', undefined],
    ]);
    const how = affected.map((each) => each.how);
    expect(how).toEqual([
      expect.stringContaining('TTL of 15m'),
      expect.stringContaining('redeploys the service main/shop'),
      expect.stringContaining('function orders a new configuration'),
      expect.stringContaining('rekey confirm orders-db report'),
    ]);
    expect(also.join('\n')).toMatch(/main\/shop are replaced by ECS/);
    expect(also.join('\n')).toMatch(/Rotation Announced.*Rotated.*Retired/);
  });

  it('says from when on what can’t be undone', () => {
    const { irreversible } = impactOf(withPolicy({ atDeadline: 'revoke' }), NOW);
    expect(irreversible.map(({ from }) => from)).toEqual([at(30 * MINUTE + 90), at(60 * MINUTE)]);
    expect(
      impactOf(withPolicy({ atDeadline: 'revoke' }), NOW).now.map(({ milestone }) => milestone),
    ).not.toContain('cap');
  });

  it('retires nothing in mode overlap, and says that what is kept takes room', () => {
    const live = [
      { id: 'orders_a', generation: 1 },
      { id: 'orders_b', generation: 2 },
    ];
    const { now, irreversible, also } = impactOf(credentialOf({ mode: 'overlap', live }), NOW);
    expect(now.map(({ milestone }) => milestone)).toEqual([
      'announcement',
      'steps',
      'window-opens',
      'earliest-close',
      'kept',
    ]);
    expect(irreversible).toEqual([{ text: expect.stringContaining('revokes nothing') }]);
    expect(also.join('\n')).toMatch(/orders_b.*aborted/);
  });

  it('retires nothing without a known holder, and never takes that for nobody', () => {
    const { now, agents, irreversible, unknown } = impactOf(credentialOf({ holders: [] }), NOW);
    expect([agents, when(now, 'suspension'), when(now, 'revocation')]).toEqual([0, undefined, undefined]);
    expect(irreversible).toEqual([{ text: expect.stringContaining('never retired') }]);
    expect(unknown.join('\n')).toMatch(/does not mean that nobody does/);
  });

  it('always says that who was not declared is not known', () => {
    expect(impactOf(base, NOW).unknown).toEqual([expect.stringContaining('without being declared')]);
  });
});

describe('what would refuse a rotation now', () => {
  it('is all of it, not only the first', () => {
    const found = refusalsNow(credentialOf({ mode: 'observe', status: 'halted' }), rotationOf(), NOW);
    expect(found.map(({ code }) => code)).toEqual(['ERR_MODE', 'ERR_MODE', 'ERR_WINDOW_OPEN']);
    expect(found.map(({ field }) => field)).toEqual(['mode', 'status', undefined]);
  });

  it('is a pause beside whatever else there is, with who paused it', () => {
    const paused = { since: '2026-11-20T00:00:00.000Z', actor: 'arn:operator', reason: 'audit week' };
    const found = refusalsNow(credentialOf({ mode: 'observe', paused }), rotationOf(), NOW);
    expect(found.map(({ code }) => code)).toEqual(['ERR_MODE', 'ERR_PAUSED', 'ERR_WINDOW_OPEN']);
    expect(found[1]?.message).toContain('audit week');
    expect(impactOf(credentialOf({ paused }), NOW).notPlanned).toContain('audit week');
  });

  it('is that verifiers don’t know yet what comes next, until cache and skew are over since the last', () => {
    const issuedAt = new Date(NOW - 300_000).toISOString();
    const identity = credentialOf({
      type: 'signing-key',
      target: { name: 'shop', cacheSeconds: 300, clockSkewSeconds: 60 },
      current: { handle: { id: 'k1', generation: 1 }, versionId: 'v1', fingerprint: 'sha256:1', issuedAt },
    });
    const [refusal] = refusalsNow(identity, undefined, NOW);
    expect(refusal).toMatchObject({
      code: 'ERR_ROTATION_UNDER_WAY',
      message: `orders-db can't rotate now: its verifiers know what comes next from ${at(60)}`,
    });
    expect(refusalsNow(identity, undefined, NOW + 60_000)).toEqual([]);
    // Its steps come only after the announcement.
    const announced = { ...identity, policy: { ...identity.policy, announceSeconds: 60 } };
    expect(refusalsNow(announced, undefined, NOW)).toEqual([]);
    expect(refusalsNow({ ...identity, type: 'database' }, undefined, NOW)).toEqual([]);
  });

  it('is nothing where it may start', () => {
    expect(refusalsNow(credentialOf(), undefined, NOW)).toEqual([]);
  });
});

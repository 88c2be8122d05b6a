import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Acknowledgement } from '../../../shared/domain/agents.ts';
import { cohortOf } from '../../../shared/domain/canary.ts';
import { plusSeconds, toInstant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { noticesOf, usesGap, type Notice } from '../../../shared/domain/notices.ts';
import { parsePact } from '../../../shared/domain/pact.ts';
import type { Phase, Rotation } from '../../../shared/domain/rotation.ts';
import { pactOf } from '../../support/agent-api.ts';
import { credentialOf, ID, NOW, ROTATION_ID, rotationOf } from '../api/fakes.ts';

const OLD = ID;
const NEW = ROTATION_ID;
const OPENS_AT = '2026-11-22T11:50:00.000Z';
const key = { opensAt: OPENS_AT, versionId: NEW, fingerprint: 'sha256:2222', sealed: 'x' };

/** The one notice of a session that holds `holds`. */
function notice(
  rotation: Rotation | undefined,
  {
    credential = {},
    holds = [],
    acknowledgement,
    session = 's-1',
  }: {
    credential?: Partial<Credential>;
    holds?: string[];
    acknowledgement?: Partial<Acknowledgement>;
    session?: string;
  } = {},
): Notice {
  const head = credentialOf({ ...(rotation && { activeRotation: rotation.id }), ...credential });
  const said = acknowledgement && {
    rotation: NEW,
    opensAt: OPENS_AT,
    persisted: true,
    ...acknowledgement,
  };
  const [found] = noticesOf(
    parsePact(pactOf()),
    new Map([['orders-db', { credential: head, rotation, acknowledgement: said as Acknowledgement }]]),
    { id: session, holds: holds.map((versionId) => ({ credential: 'orders-db', versionId })) },
    NOW,
  );
  if (found === undefined) throw new Error('no notice');
  return found;
}
const inPhase = (phase: Phase, changes: Partial<Rotation> = {}): Rotation => {
  const { window: _window, ...early } = rotationOf();
  const before = ['announced', 'issuing', 'activating', 'promoting', 'aborting'].includes(phase);
  return { ...(before ? early : rotationOf({ acknowledgement: key })), phase, ...changes };
};

describe('a notice', () => {
  it('is steady where nothing goes on, with the version to hold', () => {
    expect(notice(undefined)).toEqual({
      credential: 'orders-db',
      secret: 'agents/orders-db',
      state: 'steady',
      versionId: OLD,
      fingerprint: 'sha256:1111',
      tombstoned: [],
      acknowledge: false,
      urgent: false,
    });
  });

  it('is of no credential that the agent has no part in any more', () => {
    expect(noticesOf(parsePact(pactOf()), new Map(), { id: 's', holds: [] }, NOW)).toEqual([]);
  });

  it('announces when it rotates, and a checkpoint five minutes before, or half-way where that is less', () => {
    const startedAt = '2026-11-22T11:00:00.000Z';
    const announced = (announceSeconds: number) =>
      notice(inPhase('announced', { startedAt }), {
        credential: { policy: { ...credentialOf().policy, announceSeconds } },
      });
    expect(announced(3600)).toMatchObject({
      state: 'announced',
      rotation: NEW,
      versionId: OLD,
      rotatesAt: plusSeconds(startedAt, 3600),
      checkpointBy: plusSeconds(startedAt, 3300),
    });
    expect(announced(120)).toMatchObject({ checkpointBy: plusSeconds(startedAt, 60) });
  });

  it('says until when a rotation is deferred', () => {
    const until = '2026-11-22T20:00:00.000Z';
    expect(
      notice(inPhase('announced', { deferred: { since: OPENS_AT, until, agents: ['a'] } })),
    ).toMatchObject({
      state: 'deferred',
      rotatesAt: until,
      checkpointBy: plusSeconds(until, -300),
    });
  });

  it.each(['issuing', 'activating', 'promoting'] as const)(
    'keeps to the current version while it is %s',
    (phase) => {
      const found = notice(inPhase(phase), { holds: [OLD, NEW] });
      expect(found).toMatchObject({ state: 'rotating', versionId: OLD, tombstoned: [], urgent: false });
      expect(found).not.toHaveProperty('formerVersionId');
    },
  );

  it('asks in an open window for the new version, while the old one works as well', () => {
    expect(notice(inPhase('window'), { holds: [OLD] })).toMatchObject({
      state: 'window',
      versionId: NEW,
      fingerprint: 'sha256:2222',
      formerVersionId: OLD,
      acknowledge: true,
      urgent: false,
    });
  });

  it('asks for no acknowledgement that is there, and again for one that does not count', () => {
    const asks = (acknowledgement: Partial<Acknowledgement>) =>
      notice(inPhase('window'), { acknowledgement }).acknowledge;
    expect(asks({})).toBe(false);
    expect(asks({ persisted: false })).toBe(true);
    expect(asks({ contradictedAt: OPENS_AT })).toBe(true);
    expect(asks({ opensAt: '2026-11-22T11:00:00.000Z' })).toBe(true);
    expect(asks({ rotation: 'another' })).toBe(true);
  });

  it('asks for none that nothing could be held against', () => {
    const { acknowledgement: _key, ...keyless } = inPhase('window');
    expect(notice(keyless)).toMatchObject({ state: 'window', acknowledge: false });
    expect(notice(inPhase('window', { acknowledgement: { ...key, opensAt: 'before' } })).acknowledge).toBe(
      false,
    );
  });

  it.each(['suspending', 'revoking'] as const)('is urgent to who holds the version that is %s', (phase) => {
    const found = notice(inPhase(phase), { holds: [OLD] });
    expect(found).toMatchObject({ versionId: NEW, tombstoned: [OLD], acknowledge: false, urgent: true });
    expect(found).not.toHaveProperty('formerVersionId');
    expect(notice(inPhase(phase), { holds: [NEW] })).toMatchObject({ tombstoned: [OLD], urgent: false });
  });

  it('leads back to the old version in a rollback, also before its label has moved', () => {
    const { window: _window, ...moving } = inPhase('rolling-back', { loser: 'next', tombstoned: true });
    expect(notice(moving, { holds: [NEW] })).toMatchObject({
      state: 'rolling-back',
      versionId: OLD,
      formerVersionId: NEW,
      tombstoned: [NEW],
      acknowledge: false,
    });
    const back = inPhase('rolling-back', {
      loser: 'next',
      tombstoned: true,
      acknowledgement: { ...key, versionId: OLD },
    });
    expect(notice(back)).toMatchObject({ state: 'rolling-back', versionId: OLD, acknowledge: true });
    expect(notice({ ...back, phase: 'suspending' }, { holds: [NEW] })).toMatchObject({
      state: 'rolling-back',
      versionId: OLD,
      urgent: true,
    });
  });

  it('says of the version to hold that it is suspended until people decide, and changes nothing else of what it says', () => {
    const of = (id: string, generation: number) => [{ signal: 's-1', handle: { id, generation } }];
    const suspended = of('orders_a', 1);
    expect(notice(undefined, { credential: { suspended }, holds: [OLD] })).toEqual({
      ...notice(undefined, { holds: [OLD] }),
      suspended: true,
    });
    expect(notice(undefined, { credential: { suspended: of('orders_a', 2) } }).suspended).toBeUndefined();
    // In a window the new version works, and that is the one to hold.
    const opened = inPhase('window');
    expect(notice(opened, { credential: { suspended } }).suspended).toBeUndefined();
    expect(notice(opened, { credential: { suspended: of('orders_b', 2) } })).toMatchObject({
      state: 'window',
      suspended: true,
    });
    // What was revoked is not waited for.
    const halted = notice(undefined, { credential: { suspended, status: 'halted' } });
    expect([halted.state, halted.suspended]).toEqual(['halted', undefined]);
  });

  it('tells everybody to stop while a credential is halted, and gives no version to hold', () => {
    const found = notice(undefined, { credential: { status: 'halted' }, holds: [OLD] });
    expect(found).toMatchObject({ state: 'halted', tombstoned: [OLD], urgent: true });
    expect(found).not.toHaveProperty('versionId');
  });

  it('is urgent to who comes back with a version that an emergency has replaced meanwhile', () => {
    const credential = {
      current: { ...(credentialOf().current ?? rotationOf().next), versionId: 'replaced' },
    };
    expect(notice(undefined, { credential: credential as Partial<Credential>, holds: [OLD] })).toMatchObject({
      state: 'steady',
      versionId: 'replaced',
      tombstoned: [OLD],
      urgent: true,
    });
  });

  it('leaves a version alone that mode overlap has kept', () => {
    const current = rotationOf().next;
    const live = [{ id: 'orders_a', generation: 1, token: OLD }];
    expect(
      notice(undefined, { credential: { ...(current && { current }), live }, holds: [OLD] }),
    ).toMatchObject({
      tombstoned: [],
      urgent: false,
    });
  });

  it('takes no rotation for one that an emergency has overtaken, or that the head no longer names', () => {
    expect(notice(inPhase('window', { epoch: -1 })).state).toBe('steady');
    expect(notice(inPhase('window'), { credential: { activeRotation: 'another' } }).state).toBe('steady');
    expect(notice(inPhase('unheard-of' as Phase)).state).toBe('steady');
  });
});

describe('a canary cohort', () => {
  const policy = { ...credentialOf().policy, canary: { percent: 10, seconds: 900 } };
  const inCohort = (wanted: 'canary' | 'rest'): string => {
    for (let each = 0; ; each++) if (cohortOf(`s-${each}`, NEW, 10) === wanted) return `s-${each}`;
  };

  it('moves at once; the rest stays where it is until its time, and owes nothing before', () => {
    const first = notice(inPhase('window'), { credential: { policy }, session: inCohort('canary') });
    expect(first).toMatchObject({ acknowledge: true });
    expect(first).not.toHaveProperty('moveFrom');
    const rest = inCohort('rest');
    const kept = notice(inPhase('window'), { credential: { policy }, session: rest });
    expect(kept).toMatchObject({ acknowledge: false, formerVersionId: OLD });
    const turn = Date.parse(kept.moveFrom ?? '');
    expect(turn).toBeGreaterThanOrEqual(Date.parse(plusSeconds(OPENS_AT, 900)));
    expect(turn).toBeLessThanOrEqual(Date.parse(plusSeconds(OPENS_AT, 960)));
    const observed = inPhase('window', { canary: { at: OPENS_AT, outcome: 'quiet' } });
    const due = notice(observed, { credential: { policy }, session: rest });
    expect(due).toMatchObject({ acknowledge: true });
    expect(due).not.toHaveProperty('moveFrom');
  });

  it('keeps the rest waiting beyond its time until it has been looked at, or the window may close', () => {
    const over = { ...policy, canary: { percent: 10, seconds: 300 } };
    const session = inCohort('rest');
    const { window } = rotationOf();
    if (window === undefined) throw new Error('it is there');
    const seen = (earliestClose: string): Notice =>
      notice(inPhase('window', { window: { ...window, earliestClose } }), {
        credential: { policy: over },
        session,
      });
    const now = toInstant(NOW);
    const again = seen(plusSeconds(now, 1));
    expect(again).toMatchObject({ acknowledge: false });
    expect(Date.parse(again.moveFrom ?? '') - NOW).toBeGreaterThanOrEqual(5_000);
    expect(Date.parse(again.moveFrom ?? '') - NOW).toBeLessThanOrEqual(15_000);
    expect(seen(now)).toMatchObject({ acknowledge: true });
    expect(seen(now)).not.toHaveProperty('moveFrom');
  });

  it('comes one after the other for the look, and never at the same second all of them', () => {
    const fleet = Array.from({ length: 1000 }, (_each, index) => `s-${index}`);
    const seconds = (credential: object, changes: Partial<Rotation> = {}): number[] => {
      const counts = new Map<string, number>();
      for (const session of fleet) {
        const { moveFrom } = notice(inPhase('window', changes), { credential, session });
        const second = moveFrom?.slice(0, 19);
        if (second !== undefined) counts.set(second, (counts.get(second) ?? 0) + 1);
      }
      return [...counts.values()];
    };
    const before = seconds({ policy });
    expect(Math.max(...before)).toBeLessThan(fleet.length / 20);
    expect(before.length).toBeGreaterThan(40);
    const { window } = rotationOf();
    if (window === undefined) throw new Error('it is there');
    const open = { ...window, earliestClose: plusSeconds(toInstant(NOW), 60) };
    const due = seconds({ policy: { ...policy, canary: { percent: 10, seconds: 300 } } }, { window: open });
    expect(Math.max(...due)).toBeLessThan(fleet.length / 5);
  });

  it('has no part in a way back: everybody returns at once', () => {
    const back = inPhase('rolling-back', { loser: 'next' });
    const found = notice(back, { credential: { policy }, session: inCohort('rest') });
    expect(found).not.toHaveProperty('moveFrom');
    expect(found.acknowledge).toBe(true);
  });

  it('is the same whenever it is asked, grows with its share, and takes nobody at 0 and everybody at 100', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(100), fc.nat(100), (session, rotation, a, b) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)];
        expect(cohortOf(session, rotation, a)).toBe(cohortOf(session, rotation, a));
        if (cohortOf(session, rotation, small) === 'canary')
          expect(cohortOf(session, rotation, large)).toBe('canary');
        expect(cohortOf(session, rotation, 0)).toBe('rest');
        expect(cohortOf(session, rotation, 100)).toBe('canary');
      }),
    );
  });

  it('is near its share, and another one in the next rotation', () => {
    const sessions = Array.from({ length: 4000 }, (_each, index) => `session-${index}`);
    const cohort = (rotation: string) =>
      new Set(sessions.filter((session) => cohortOf(session, rotation, 20) === 'canary'));
    const [one, two] = [cohort('r-1'), cohort('r-2')];
    for (const { size } of [one, two]) expect(Math.abs(size / sessions.length - 0.2)).toBeLessThan(0.03);
    const both = [...one].filter((session) => two.has(session)).length;
    expect(both / sessions.length).toBeLessThan(0.07);
  });
});

describe('the gap between sessions', () => {
  const since = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
  const rotation = (phase: Phase, changes: Partial<Rotation> = {}) =>
    usesGap(inPhase(phase, { updatedAt: since(10), ...changes }), NOW);

  it('is used by a rotation in its steps, or that waits no more, for two minutes at most', () => {
    const { callback: _none, ...waiting } = inPhase('announced', { updatedAt: since(10) });
    expect(usesGap(waiting, NOW)).toBe(false);
    expect(usesGap({ ...waiting, undeferred: { at: since(10), why: 'gap' } }, NOW)).toBe(true);
    expect(rotation('announced', { callback: { awaiting: 'rotate', taskToken: 't' } })).toBe(true);
    expect(
      rotation('announced', {
        callback: { awaiting: 'rotate', taskToken: 't' },
        deferred: { since: since(60), until: since(-60), agents: ['a'] },
      }),
    ).toBe(false);
    for (const phase of ['issuing', 'activating', 'promoting'] as const) expect(rotation(phase)).toBe(true);
    expect(rotation('promoting', { updatedAt: since(120) })).toBe(false);
    expect(rotation('window')).toBe(false);
  });
});

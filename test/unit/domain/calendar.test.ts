import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterAbort,
  afterRollback,
  backstopDays,
  dueOf,
  dutiesOf,
  ESCALATE_AFTER,
  leadSeconds,
  nextLook,
  notPlanned,
  plannedToken,
  planOf,
  reasonOf,
  type Planned,
} from '../../../shared/domain/calendar.ts';
import { plusSeconds, toInstant } from '../../../shared/domain/clock.ts';
import { findingsOf } from '../../../shared/domain/interval.ts';
import { resolvePolicy, type PolicyInput } from '../../../shared/domain/policy.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;
const ISSUED = '2026-03-01T10:20:30.000Z';
const issued = Date.parse(ISSUED);

function planned(input: PolicyInput = {}, changes: Partial<Planned> = {}): Planned {
  return {
    id: 'c-1',
    type: 'database',
    policy: resolvePolicy('database', input, [], issued, { minWindowSeconds: 1 }),
    holders: [],
    mode: 'enforce',
    status: 'active',
    current: {
      handle: { id: 'a', generation: 1 },
      versionId: 'v-1',
      fingerprint: 'sha256:1',
      issuedAt: ISSUED,
    },
    registeredAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  };
}

/** A current version that ends by itself. */
function ending(endsAt: string): NonNullable<Planned['current']> {
  return {
    handle: { id: 'a', generation: 1 },
    versionId: 'v-1',
    fingerprint: 'sha256:1',
    issuedAt: ISSUED,
    endsAt,
  };
}

/** Short enough in all else for any interval from a minute on. */
const QUICK = { windowSeconds: 1, deadlineSeconds: 2, capSeconds: 2, soakSeconds: 0 };
const intervals = fc.integer({ min: 60, max: 30 * DAY });
/** Policies of every interval, announced for up to nine tenths of it. */
const policies = fc
  .tuple(intervals, fc.double({ min: 0, max: 0.9, noNaN: true }))
  .map(([intervalSeconds, share]) => ({
    ...QUICK,
    intervalSeconds,
    announceSeconds: Math.floor(Math.max(0, intervalSeconds - 10) * share),
  }));
const instantAge = (instant: string): number => (Date.parse(instant) - issued) / 1000;

describe('the calendar', () => {
  it.for([
    [30 * DAY, 28 * DAY],
    [8 * DAY, 6 * DAY],
    [7 * DAY, 5.25 * DAY],
    [DAY, 0.75 * DAY],
    [HOUR, 0.75 * HOUR],
  ] as const)(
    'P1: an interval of %i s starts after %i s: 48 hours or a quarter before the deadline',
    ([interval, start]) => {
      const due = dueOf(planned({ ...QUICK, intervalSeconds: interval }));
      expect(due).toEqual({
        startsAt: plusSeconds(ISSUED, start),
        rotatesAt: plusSeconds(ISSUED, start),
        deadline: plusSeconds(ISSUED, interval),
      });
    },
  );

  it('starts sooner by the announcement, so that the lead is left after it', () => {
    const due = dueOf(planned({ announceSeconds: 6 * HOUR }));
    expect([due?.startsAt, due?.rotatesAt].map((at) => instantAge(at ?? ''))).toEqual([
      28 * DAY - 6 * HOUR,
      28 * DAY,
    ]);
  });

  it('property: announced, then rotated by the deadline, and not in the first half of the interval unless the announcement wants it', () => {
    fc.assert(
      fc.property(policies, (input) => {
        const due = dueOf(planned(input));
        if (due === undefined) throw new Error('a current version has a due date');
        const [start, rotates, deadline] = [due.startsAt, due.rotatesAt, due.deadline].map(instantAge) as [
          number,
          number,
          number,
        ];
        expect(deadline).toBe(input.intervalSeconds);
        expect(rotates).toBeLessThanOrEqual(deadline);
        // Instants are whole milliseconds.
        expect(rotates - start).toBeCloseTo(input.announceSeconds, 2);
        expect(start).toBeGreaterThanOrEqual(0);
        if (input.announceSeconds <= input.intervalSeconds / 4) {
          expect(start).toBeGreaterThanOrEqual(input.intervalSeconds / 2 - 0.001);
          expect(deadline - rotates).toBeCloseTo(leadSeconds(input.intervalSeconds), 2);
        }
      }),
    );
  });

  it('an exception that ends pulls the deadline forward to its end, never before it', () => {
    const exception = { reason: 'vendor outage', expires: '2026-04-10' };
    const policy = planned({ intervalSeconds: 60 * DAY, exception });
    expect(dueOf(policy)?.deadline).toBe('2026-04-11T00:00:00.000Z');
    const early = planned({ intervalSeconds: 60 * DAY, exception: { ...exception, expires: '2026-03-05' } });
    expect(dueOf(early)?.deadline).toBe(plusSeconds(ISSUED, 30 * DAY));
    const late = planned({ intervalSeconds: 60 * DAY, exception: { ...exception, expires: '2026-12-31' } });
    expect(dueOf(late)?.deadline).toBe(plusSeconds(ISSUED, 60 * DAY));
  });

  it.for<[string, Partial<Planned>, RegExp]>([
    ['in mode observe', { mode: 'observe' }, /observe/],
    ['halted', { status: 'halted' }, /halted/],
    ['registering', { status: 'registering' }, /registering/],
    ['with a rotation under way', { activeRotation: 'r-1' }, /under way/],
    ['paused', { paused: { since: ISSUED, actor: 'arn:o', reason: 'freeze' } }, /paused.*arn:o.*freeze/],
    ['after a rollback', { plan: { of: 'v-1', attempts: 0, rolledBack: true } }, /rolled back/],
  ])('never starts a rotation %s, and says so', ([, changes, words]) => {
    const credential = planned({}, changes);
    expect(notPlanned(credential)).toMatch(words);
    expect(dutiesOf(credential, issued + 1000 * DAY * 1000).start).toBe(false);
  });

  it('a credential without a current version has no due date and is not planned', () => {
    const { current: _none, ...rest } = planned();
    expect([dueOf(rest), nextLook(rest)]).toEqual([undefined, undefined]);
    expect(notPlanned(rest)).toContain('no current version');
  });

  it('says why in words that name the interval and what set it', () => {
    expect(reasonOf(planned(), issued)).toBe(
      'due by 2026-03-31T10:20:30.000Z; every 30 days: computed for write access to normal data by no known agent',
    );
    expect(reasonOf(planned({ intervalSeconds: 7 * DAY }), issued)).toContain(
      'every 7 days: declared, tighter',
    );
  });
});

describe('what the planner does', () => {
  const states: fc.Arbitrary<Planned> = fc
    .record({
      policy: policies,
      exceptionDays: fc.option(fc.integer({ min: 0, max: 90 }), { nil: undefined }),
      agents: fc.integer({ min: 1, max: 40 }),
      mode: fc.constantFrom('observe' as const, 'overlap' as const, 'enforce' as const),
      status: fc.constantFrom('active' as const, 'active' as const, 'halted' as const),
      attempts: fc.integer({ min: 0, max: 6 }),
      plan: fc.constantFrom('none', 'stale', 'escalated', 'overdue', 'rolled back', 'waiting'),
      active: fc.boolean(),
      paused: fc.boolean(),
      flagged: fc.subarray(['shared', 'looser', 'something else']),
      lifeDays: fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined }),
    })
    .map((given) => {
      const exception =
        given.exceptionDays === undefined
          ? {}
          : {
              intervalSeconds: 60 * DAY,
              exception: {
                reason: 'x',
                expires: toInstant(issued + given.exceptionDays * DAY * 1000).slice(0, 10),
              },
            };
      return planned(
        { ...given.policy, ...exception },
        {
          mode: given.mode,
          status: given.status,
          holders: [{ kind: 'polling', name: 'h', ttlSeconds: 0, agents: given.agents }],
          flagged: given.flagged,
          ...(given.lifeDays === undefined
            ? {}
            : { current: ending(plusSeconds(ISSUED, given.lifeDays * DAY)) }),
          ...(given.active ? { activeRotation: 'r' } : {}),
          ...(given.paused ? { paused: { since: ISSUED, actor: 'a', reason: 'b' } } : {}),
          ...(given.plan === 'none'
            ? {}
            : {
                plan: {
                  of: given.plan === 'stale' ? 'v-0' : 'v-1',
                  attempts: given.attempts,
                  ...(given.plan === 'escalated' ? { escalated: true } : {}),
                  ...(given.plan === 'overdue' ? { overdue: true } : {}),
                  ...(given.plan === 'rolled back' ? { rolledBack: true } : {}),
                  ...(given.plan === 'waiting' ? { notBefore: plusSeconds(ISSUED, 40 * DAY) } : {}),
                },
              }),
        },
      );
    });
  const busy = (credential: Planned, now: number): boolean => {
    const { start, overdue, ending: ends, escalate, findings } = dutiesOf(credential, now);
    return start || overdue || ends || escalate || findings !== undefined;
  };

  it('property: there is something to do from the instant in the calendar on, and nothing before', () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 0, max: 120 * DAY }), (credential, age) => {
        const now = issued + age * 1000;
        const look = nextLook(credential);
        expect(busy(credential, now)).toBe(look !== undefined && Date.parse(look) <= now);
        if (look === undefined || Date.parse(look) < issued) return;
        expect(busy(credential, Date.parse(look))).toBe(true);
        expect(busy(credential, Date.parse(look) - 1)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('property: once its records are made and its rotation is under way, nothing is left to do at that time', () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 0, max: 120 * DAY }), (credential, age) => {
        const now = issued + age * 1000;
        const duties = dutiesOf(credential, now);
        const after: Planned = {
          ...credential,
          flagged: findingsOf(credential, now).map(({ key }) => key),
          plan: {
            ...planOf(credential),
            ...(duties.overdue ? { overdue: true } : {}),
            ...(duties.ending ? { ending: true } : {}),
            ...(duties.escalate ? { escalated: true } : {}),
          },
          ...(duties.start ? { activeRotation: 'r' } : {}),
        };
        expect(busy(after, now)).toBe(false);
      }),
    );
  });

  it('P5: after an abort it waits 15 minutes, an hour, four hours, then 12 hours each, and escalates after the third', () => {
    let credential = planned();
    const waits: (number | undefined)[] = [];
    const escalates: boolean[] = [];
    for (let n = 0; n < 5; n++) {
      credential = {
        ...credential,
        ...afterAbort(credential, { trigger: { kind: 'planner', actor: 'p' } }, ISSUED),
      };
      waits.push(instantAge(credential.plan?.notBefore ?? ''));
      escalates.push(dutiesOf(credential, issued).escalate);
    }
    expect(waits).toEqual([900, HOUR, 4 * HOUR, 12 * HOUR, 12 * HOUR]);
    expect(escalates.indexOf(true)).toBe(ESCALATE_AFTER - 1);
  });

  it('forgets after an abort what it has waited for before it began', () => {
    const plan = {
      of: planned().current?.versionId ?? '',
      attempts: 0,
      waitsFor: 'another',
      waitsSince: ISSUED,
    };
    const after = afterAbort(planned({}, { plan }), { trigger: { kind: 'planner', actor: 'p' } }, ISSUED);
    expect(after.plan).toEqual({ of: plan.of, attempts: 1, notBefore: plusSeconds(ISSUED, 900) });
  });

  it('retries once the pause is over, and not before', () => {
    const due = issued + 28 * DAY * 1000;
    const failed = planned(
      {},
      afterAbort(planned(), { trigger: { kind: 'planner', actor: 'p' } }, toInstant(due)),
    );
    expect(dutiesOf(failed, due + 899_999).start).toBe(false);
    expect(dutiesOf(failed, due + 900_000).start).toBe(true);
  });

  it("an operator's aborted rotation is the operator's to repeat", () => {
    expect(afterAbort(planned(), { trigger: { kind: 'operator', actor: 'arn:o' } }, ISSUED)).toEqual({});
  });

  it('after a rollback only a person starts the next one; the deadline is still told', () => {
    const back = planned({}, afterRollback(planned()));
    expect(dutiesOf(back, issued + 31 * DAY * 1000)).toEqual({
      start: false,
      announce: false,
      overdue: true,
      ending: false,
      escalate: false,
    });
  });

  it.for([
    [69 * DAY, 55 * DAY],
    [56 * DAY, 42 * DAY],
    [8 * DAY, 6 * DAY],
  ] as const)(
    'C5: what lives for %i s and is not rotated is told of after %i s: 14 days or a quarter before its end, once',
    ([life, told]) => {
      const credential = planned({}, { current: ending(plusSeconds(ISSUED, life)) });
      const at = issued + told * 1000;
      expect([at - 1, at].map((now) => dutiesOf(credential, now).ending)).toEqual([false, true]);
      // Whoever is told of that has been told that it is overdue.
      expect(dutiesOf(credential, at).overdue).toBe(true);
      // Where nothing else is left to do, the planner looks again for that.
      const paused = { since: ISSUED, actor: 'a', reason: 'b' };
      const idle = { ...credential, paused, plan: { ...planOf(credential), overdue: true } };
      expect(nextLook(idle)).toBe(toInstant(at));
      const after = { ...credential, plan: { ...planOf(credential), ending: true } };
      expect(dutiesOf(after, at + DAY * 1000).ending).toBe(false);
    },
  );

  it('of what is only looked at, and of what has no end, no end is told', () => {
    const late = issued + 1000 * DAY * 1000;
    const observed = planned({}, { mode: 'observe', current: ending(plusSeconds(ISSUED, DAY)) });
    expect([dutiesOf(observed, late).ending, dutiesOf(planned(), late).ending]).toEqual([false, false]);
  });

  it('attempts count for one version: another current one starts afresh', () => {
    const credential = planned({}, { plan: { of: 'v-0', attempts: 5, rolledBack: true, overdue: true } });
    expect(planOf(credential)).toEqual({ of: 'v-1', attempts: 0 });
    expect(dutiesOf(credential, issued + 28 * DAY * 1000)).toMatchObject({ start: true, escalate: false });
  });

  it('the token is a UUID, the same for the same version and attempt and for no other', () => {
    const tokens = [planned(), planned({}, { id: 'c-2' })].flatMap((one) =>
      [0, 1].map((n) => plannedToken(one, n)),
    );
    expect(new Set(tokens).size).toBe(4);
    expect(plannedToken(planned(), 1)).toBe(tokens[1]);
    for (const token of tokens)
      expect(token).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('hard decision 11: the backstop', () => {
  /** Ages at which the service may rotate: any moment of the last day, counted in UTC days from that of the issue. */
  const fires = (days: number, issuedAtOfDay: number): [number, number] => [
    days * DAY - issuedAtOfDay,
    (days + 1) * DAY - issuedAtOfDay,
  ];
  const timeOfDay = fc.integer({ min: 0, max: DAY - 1 });

  it('is the interval less a day from eight days on', () => {
    for (const days of [8, 14, 30])
      expect(backstopDays(planned({ intervalSeconds: days * DAY }))).toBe(days - 1);
  });

  it('property: never fires before the planner has started, at any interval and announcement', () => {
    fc.assert(
      fc.property(policies, timeOfDay, (input, ofDay) => {
        const credential = planned(input);
        const [first] = fires(backstopDays(credential), ofDay);
        expect(first).toBeGreaterThan(instantAge(dueOf(credential)?.rotatesAt ?? ''));
      }),
      { numRuns: 500 },
    );
  });

  it('property: is done by the deadline in whole days from eight on, and within two days of it below', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), timeOfDay, (days, ofDay) => {
        const [, last] = fires(backstopDays(planned({ ...QUICK, intervalSeconds: days * DAY })), ofDay);
        expect(last).toBeLessThanOrEqual((days >= 8 ? days : days + 2) * DAY);
      }),
    );
  });
});

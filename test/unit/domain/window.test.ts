import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromInstant, toInstant } from '../../../shared/domain/clock.ts';
import type { Usage } from '../../../shared/domain/evidence.ts';
import type { ClientEvidence } from '../../../shared/domain/holder-evidence.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import { resolvePolicy, type Policy } from '../../../shared/domain/policy.ts';
import {
  decideSoaked,
  decideWindow,
  MAX_LOOKS,
  MAX_WAKE_UPS,
  openWindow,
  secondsBetweenLooks,
  withoutPause,
  type WindowFacts,
} from '../../../shared/domain/window.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const HOLDER: Holder = { kind: 'polling', name: 'fleet', ttlSeconds: 900 };
const POLICY: Policy = resolvePolicy(
  'database',
  { windowSeconds: 1800, deadlineSeconds: 3600 },
  [HOLDER],
  START,
);
const QUIET: Usage = { lastSeen: null, observedAt: toInstant(START), lagSeconds: 0, sessions: 0 };

function facts(seconds: number, changes: Partial<WindowFacts> = {}): WindowFacts {
  return {
    now: START + seconds * 1000,
    window: openWindow(POLICY, toInstant(START)),
    policy: POLICY,
    mode: 'enforce',
    holders: [HOLDER],
    usage: QUIET,
    wakeUps: 0,
    ...changes,
  };
}

describe('the window after a pause', () => {
  const at = (seconds: number) => toInstant(START + seconds * 1000);
  const window = openWindow(POLICY, at(0));

  it('has as long to its deadline and cap as it had when the pause began', () => {
    const after = withoutPause(window, at(1000), START + 500_000 * 1000);
    expect(after).toEqual({ ...window, deadline: at(3600 + 499_000), cap: at(POLICY.capSeconds + 499_000) });
  });

  it('that opened during the pause loses nothing of its time', () => {
    const after = withoutPause(window, at(-9000), START + 100 * 1000);
    expect(fromInstant(after.deadline)).toBe(fromInstant(window.deadline) + 100_000);
  });

  it('whose deadline had passed before stays past it', () => {
    const after = withoutPause(window, at(4000), START + 5000 * 1000);
    expect(fromInstant(after.deadline)).toBe(START + 4600 * 1000);
    expect(withoutPause(window, at(4000), START + 4000 * 1000)).toEqual(window);
  });
});

/** What a look at an agent shows that lacks nothing. */
const evidence = (ttlSeconds: number, opensAt = toInstant(START)): ClientEvidence => ({
  kind: 'client',
  holder: 'agent',
  opensAt,
  observedAt: opensAt,
  rotation: 'r',
  pacts: {},
  ttlSeconds,
  sessions: 0,
  moved: 0,
  waiting: { names: [], more: 0 },
  lost: { names: [], more: 0 },
  contradicted: { names: [], more: 0 },
  acknowledgements: 0,
  digest: '',
  missing: [],
});

const usages = fc.oneof(
  fc.constant<Usage>('unknown'),
  fc.record({
    lastSeen: fc.constantFrom(null, toInstant(START), toInstant(START + 1_000_000)),
    observedAt: fc.constant(toInstant(START + 2_000_000)),
    lagSeconds: fc.integer({ min: 0, max: 3600 }),
    sessions: fc.integer({ min: 0, max: 3 }),
  }),
);
const anyFacts = fc.record({
  seconds: fc.integer({ min: 0, max: 9 * 86_400 }),
  usage: usages,
  holders: fc.constantFrom<readonly Holder[]>([], [HOLDER]),
  mode: fc.constantFrom('observe' as const, 'overlap' as const, 'enforce' as const),
  atDeadline: fc.constantFrom('extend' as const, 'revoke' as const),
  wakeUps: fc.integer({ min: 0, max: 10 }),
});

describe('the acceptance window', () => {
  it('never closes before twice the longest TTL has passed, whatever the evidence (Z2)', () => {
    fc.assert(
      fc.property(anyFacts, ({ seconds, atDeadline, ...rest }) => {
        const { kind } = decideWindow(facts(seconds, { ...rest, policy: { ...POLICY, atDeadline } }));
        if (seconds < POLICY.windowSeconds) expect(kind).toBe('wait');
      }),
    );
  });

  it('never closes before twice the longest TTL of a pact, also one that was lengthened since; the cap bounds it (Z2)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 0, max: 20_000 }),
        fc.constantFrom('overlap' as const, 'enforce' as const),
        (seconds, ttl, mode) => {
          const { kind } = decideWindow(facts(seconds, { mode, holderEvidence: [evidence(ttl)] }));
          const earliest = Math.max(POLICY.windowSeconds, Math.min(2 * ttl, POLICY.capSeconds));
          expect(kind === 'wait').toBe(seconds < earliest);
        },
      ),
    );
    // Another window's pacts say nothing of this one.
    const other = [evidence(20_000, toInstant(START - 1000))];
    expect(decideWindow(facts(1801, { holderEvidence: other })).kind).toBe('retire');
  });

  it('is soaked until agents are refused no more often than before, with what was seen of them in the proof', () => {
    const refused = (risen: boolean): ClientEvidence => ({
      ...evidence(0),
      authentication: {
        from: toInstant(START),
        to: toInstant(START),
        succeeded: 0,
        refused: 1,
        before: { succeeded: 0, refused: 0 },
        risen,
        silent: { names: [], more: 0 },
      },
    });
    const decide = (seen: ClientEvidence) => decideSoaked(facts(2000, { holderEvidence: [seen] }));
    expect(decide(refused(true))).toMatchObject({
      kind: 'wait',
      proof: { missing: ['agent: authentication errors have risen'] },
    });
    expect(decide(refused(false))).toMatchObject({ kind: 'retire', proof: { holders: [refused(false)] } });
    expect(decide({ ...refused(true), opensAt: toInstant(START - 1) }).kind).toBe('retire');
  });

  it('is closed by proof, or at the deadline only where the recorded policy says so (Z1, hard decision 10)', () => {
    fc.assert(
      fc.property(anyFacts, ({ seconds, atDeadline, ...rest }) => {
        const given = facts(seconds, { ...rest, policy: { ...POLICY, atDeadline } });
        const decision = decideWindow(given);
        if (decision.kind !== 'retire') return;
        expect(given.mode).toBe('enforce');
        expect(given.holders).not.toEqual([]);
        if (decision.stragglers) {
          expect(atDeadline).toBe('revoke');
          expect(given.now).toBeGreaterThanOrEqual(fromInstant(given.window.deadline));
        } else {
          expect(decision.proof).toMatchObject({ complete: true, missing: [] });
        }
      }),
    );
  });

  it('always comes to an end or to a person: no wait is longer than the cap', () => {
    fc.assert(
      fc.property(anyFacts, ({ seconds, atDeadline, ...rest }) => {
        const given = facts(seconds, { ...rest, policy: { ...POLICY, atDeadline } });
        const decision = decideWindow(given);
        if (decision.kind === 'wait' || decision.kind === 'extend') {
          expect(fromInstant(decision.until)).toBeGreaterThan(given.now);
          expect(decision.until <= given.window.cap).toBe(true);
        }
      }),
    );
  });

  it('takes what the holders prove where the upstream tells of no use, if the policy says so, and use that it tells of in any case', () => {
    const policy = { ...POLICY, evidenceOfUse: 'holders' as const };
    const unseen = facts(2000, { usage: 'unknown', policy });
    expect(decideWindow(unseen).kind).toBe('retire');
    expect(decideSoaked(unseen).kind).toBe('retire');
    const now = toInstant(unseen.now);
    const used: Usage = { lastSeen: now, observedAt: now, lagSeconds: 60 };
    expect(decideWindow(facts(2000, { usage: used, policy })).proof.missing.join()).toContain(
      'seen at the source',
    );
  });

  it('hard decision 8: unknown use is never "unused"', () => {
    const decision = decideWindow(facts(2000, { usage: 'unknown' }));
    expect(decision).toMatchObject({ kind: 'wait', proof: { complete: false } });
    expect(decision.proof.missing.join()).toContain('unknown');
  });

  it('hard decision 8: unseen means quiet for longer than the lag of the source', () => {
    const usage = (quietSeconds: number): Usage => ({
      lastSeen: toInstant(START),
      observedAt: toInstant(START + quietSeconds * 1000),
      lagSeconds: 300,
    });
    expect(decideWindow(facts(2000, { usage: usage(300) })).kind).toBe('wait');
    expect(decideWindow(facts(2000, { usage: usage(301) })).kind).toBe('retire');
  });

  it('hard decision 8: what a source that runs behind shows is about the window only once that has lasted as long', () => {
    const unseen = (quietSeconds: number): Usage => ({
      lastSeen: null,
      observedAt: toInstant(START + quietSeconds * 1000),
      lagSeconds: 300,
    });
    expect(decideWindow(facts(2000, { usage: unseen(300) })).kind).toBe('wait');
    expect(decideWindow(facts(2000, { usage: unseen(301) })).kind).toBe('retire');
    const policy = { ...POLICY, evidenceOfUse: 'holders' as const };
    expect(decideWindow(facts(2000, { usage: unseen(1), policy })).kind).toBe('retire');
  });

  it('an open session at the source keeps it open until the deadline, then extends', () => {
    const usage: Usage = { ...QUIET, sessions: 1 };
    expect(decideWindow(facts(2000, { usage })).kind).toBe('wait');
    expect(decideWindow(facts(3600, { usage }))).toMatchObject({
      kind: 'extend',
      proof: { complete: false },
    });
    expect(decideWindow(facts(POLICY.capSeconds, { usage })).kind).toBe('hold');
  });

  it('an empty set of holders proves nothing: it is held for a person, also where the policy would revoke', () => {
    const policy = { ...POLICY, atDeadline: 'revoke' as const };
    expect(decideWindow(facts(2000, { holders: [], policy })).kind).toBe('wait');
    expect(decideWindow(facts(POLICY.capSeconds, { holders: [], policy })).kind).toBe('hold');
  });

  it('hard decision 5: at most three timed wake-ups before the deadline', () => {
    let seconds = POLICY.windowSeconds;
    let wakeUps = 0;
    while (seconds < POLICY.deadlineSeconds) {
      const decision = decideWindow(facts(seconds, { usage: 'unknown', wakeUps }));
      if (decision.kind !== 'wait') throw new Error('it should wait');
      seconds = (fromInstant(decision.until) - START) / 1000;
      wakeUps++;
    }
    expect(wakeUps).toBeLessThanOrEqual(MAX_WAKE_UPS);
    expect(seconds).toBe(POLICY.deadlineSeconds);
  });

  it('hard decision 5: an extension is looked at once per window, and at most 360 times however long it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 900, max: 14_400 }),
        fc.integer({ min: 1800, max: 7 * 86_400 }),
        (length, cap) => {
          const between = secondsBetweenLooks({ ...POLICY, windowSeconds: length, capSeconds: cap });
          expect(between).toBeGreaterThanOrEqual(length);
          expect(cap / between).toBeLessThanOrEqual(MAX_LOOKS);
          if (cap / length <= MAX_LOOKS) expect(between).toBe(length);
        },
      ),
    );
  });

  it('in mode overlap the old credential is kept', () => {
    expect(decideWindow(facts(2000, { mode: 'overlap' })).kind).toBe('keep');
  });
});

describe('the end of a soak', () => {
  const session: Usage = { ...QUIET, sessions: 1 };

  it('under extend ends no session, whenever it is asked: it waits, extends, then holds (hard decision 10)', () => {
    expect(decideSoaked(facts(2000, { usage: session })).kind).toBe('wait');
    expect(decideSoaked(facts(3600, { usage: session })).kind).toBe('extend');
    expect(decideSoaked(facts(POLICY.capSeconds, { usage: session })).kind).toBe('hold');
    expect(decideSoaked(facts(POLICY.capSeconds, { usage: 'unknown' })).kind).toBe('hold');
  });

  it('under revoke gives up those who are left at the deadline, not before', () => {
    const policy = { ...POLICY, atDeadline: 'revoke' as const };
    expect(decideSoaked(facts(2000, { usage: session, policy })).kind).toBe('wait');
    expect(decideSoaked(facts(3600, { usage: session, policy }))).toMatchObject({
      kind: 'retire',
      stragglers: true,
      proof: { missing: ['1 sessions are still open at the source'] },
    });
    expect(decideSoaked(facts(POLICY.capSeconds, { usage: session, policy, holders: [] })).kind).toBe('hold');
  });

  it('retires what nobody uses, whatever the mode says by then', () => {
    expect(decideSoaked(facts(0, { mode: 'overlap' }))).toMatchObject({ kind: 'retire', stragglers: false });
  });
});

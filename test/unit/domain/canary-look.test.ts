import { describe, expect, it } from 'vitest';
import type { UseReport } from '../../../shared/domain/agents.ts';
import { cohortOf } from '../../../shared/domain/canary.ts';
import { beforeCanary, canarySeen } from '../../../shared/domain/canary-look.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { Key } from '../../../shared/domain/credential.ts';
import { errorsOf } from '../../../shared/domain/errors.ts';
import { resolvePolicy } from '../../../shared/domain/policy.ts';
import { decideWindow, firstLook, openWindow, type WindowFacts } from '../../../shared/domain/window.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const at = (seconds: number): string => toInstant(START + seconds * 1000);
const CANARY = { percent: 50, seconds: 300 };
const next: Key = {
  handle: { id: 'b', generation: 2 },
  versionId: 'v2',
  fingerprint: 'sha256:b',
  issuedAt: at(0),
};
const ROTATION = { id: 'r1', next };
const sessions = Array.from({ length: 40 }, (_each, index) => `s${index}`);
const first = sessions.filter((id) => cohortOf(id, 'r1', CANARY.percent) === 'canary')[0] ?? '';
const rest = sessions.filter((id) => cohortOf(id, 'r1', CANARY.percent) === 'rest')[0] ?? '';

const use = (session: string, counts: Partial<UseReport>): UseReport => ({
  credentialId: 'c',
  agent: 'checkout',
  session,
  versionId: 'v2',
  succeeded: 0,
  refused: 0,
  from: at(60),
  to: at(120),
  ...counts,
});
const seen = (recent: UseReport[], before: UseReport[] = []) =>
  canarySeen(CANARY, ROTATION, at(0), { recent, before }).outcome;

describe('what the instances that move first show', () => {
  it('is a rise where more of their uses of the new version are refused than of all before the window', () => {
    const early = [use(rest, { versionId: 'v1', succeeded: 90, refused: 10, from: at(-60), to: at(-1) })];
    expect(seen([use(first, { succeeded: 9, refused: 1 })], early)).toBe('quiet');
    expect(seen([use(first, { succeeded: 8, refused: 2 })], early)).toBe('risen');
    expect(seen([use(first, { succeeded: 99, refused: 1 })])).toBe('risen');
    expect(seen([use(first, { succeeded: 99 })])).toBe('quiet');
  });

  it('counts neither the old version, nor those who move later, and nothing is unproven', () => {
    expect(seen([])).toBe('unproven');
    expect(seen([use(rest, { refused: 9 })])).toBe('unproven');
    expect(seen([use(first, { refused: 9, versionId: 'v1' })])).toBe('unproven');
    expect(beforeCanary(CANARY, at(0))).toEqual({ from: at(-300), to: at(0) });
  });
});

describe('a window with a canary', () => {
  const holders = [{ kind: 'client', name: 'checkout', principal: 'arn:a' }] as const;
  const policy = resolvePolicy('database', { windowSeconds: 1800, canary: CANARY }, holders, START);
  const decide = (seconds: number, canary?: WindowFacts['canary'], mode: WindowFacts['mode'] = 'enforce') =>
    decideWindow({
      now: START + seconds * 1000,
      window: openWindow(policy, at(0)),
      policy,
      mode,
      holders,
      usage: 'unknown',
      wakeUps: 0,
      canary,
    });
  const found = (outcome: 'quiet' | 'risen' | 'unproven') => ({
    endsAt: at(300),
    uses: { succeeded: 0, refused: 0 },
    before: { succeeded: 0, refused: 0 },
    outcome,
  });

  it('is looked at first when the others begin to move', () => {
    const window = openWindow(policy, at(0));
    expect(firstLook(policy, window)).toBe(at(300));
    const { canary: _none, ...without } = policy;
    expect(firstLook(without, window)).toBe(at(1800));
  });

  it('is rolled back upon a rise, however late it is seen', () => {
    expect(decide(100, found('risen')).kind).toBe('roll-back');
    expect(decide(300, found('risen')).kind).toBe('roll-back');
    expect(decide(1800, found('risen')).kind).toBe('roll-back');
    expect(decide(90_000, found('risen')).kind).toBe('roll-back');
  });

  it('waits for the end of their time, then records what they show, and waits as ever', () => {
    for (const outcome of ['quiet', 'unproven'] as const) {
      expect(decide(100, found(outcome))).toMatchObject({ kind: 'wait', until: at(300) });
      expect(decide(100, found(outcome))).not.toHaveProperty('canary');
      expect(decide(300, found(outcome))).toMatchObject({
        kind: 'wait',
        until: at(1800),
        canary: { outcome },
      });
    }
    expect(decide(400)).toMatchObject({ kind: 'wait', until: at(1800) });
  });

  it('is not closed, kept or given up before that, where the first look comes only after its end', () => {
    for (const outcome of ['quiet', 'unproven'] as const)
      for (const seconds of [1800, 4000, 90_000]) {
        const expected = { kind: 'wait', until: at(seconds), canary: { outcome } };
        expect(decide(seconds, found(outcome))).toMatchObject(expected);
        expect(decide(seconds, found(outcome), 'overlap')).toMatchObject(expected);
      }
    expect(decide(1800, undefined, 'overlap').kind).toBe('keep');
  });

  it('is refused where it takes more than half of the window, or nobody can be in it', () => {
    const resolve = (seconds: number, who: readonly (typeof holders)[number][]) =>
      errorsOf(() =>
        resolvePolicy('database', { windowSeconds: 1800, canary: { percent: 5, seconds } }, who, START),
      ).map(({ code, field }) => [code, field]);
    expect(resolve(900, holders)).toEqual([]);
    expect(resolve(901, holders)).toEqual([['ERR_POLICY', 'policy.canary.for']]);
    expect(resolve(300, [])).toEqual([['ERR_POLICY', 'policy.canary']]);
  });
});

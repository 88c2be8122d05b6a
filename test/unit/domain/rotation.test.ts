import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advance,
  canRollBack,
  isOver,
  loserOf,
  withoutCallback,
  type Phase,
  type Rotation,
} from '../../../shared/domain/rotation.ts';

const PHASES: readonly Phase[] = [
  'announced',
  'issuing',
  'activating',
  'promoting',
  'window',
  'suspending',
  'revoking',
  'completed',
  'aborting',
  'aborted',
  'rolling-back',
  'rolled-back',
  'preempted',
];

const NOW = '2026-11-22T00:00:00.000Z';
const key = (generation: number) => ({
  handle: { id: 'app_a', generation },
  versionId: `v${generation}`,
  fingerprint: `sha256:${generation}`,
  issuedAt: NOW,
});

function inPhase(phase: Phase, changes: Partial<Rotation> = {}): Rotation {
  return {
    id: 'token',
    credentialId: 'credential',
    phase,
    trigger: { kind: 'operator', actor: 'arn:aws:iam::111122223333:user/o' },
    old: key(1),
    next: key(2),
    epoch: 0,
    tombstoned: false,
    wakeUps: 0,
    loser: 'old',
    repairs: 0,
    checkAt: NOW,
    startedAt: NOW,
    updatedAt: NOW,
    ...changes,
  };
}

/** Phases that `phase` may become. */
const reachable = (phase: Phase): Phase[] =>
  PHASES.filter((next) => {
    try {
      return advance(inPhase(phase), next).phase === next;
    } catch {
      return false;
    }
  });

describe('a rotation', () => {
  it('goes the planned way', () => {
    const way: Phase[] = [
      'issuing',
      'activating',
      'promoting',
      'window',
      'suspending',
      'revoking',
      'completed',
    ];
    const end = way.reduce<Rotation>((rotation, phase) => advance(rotation, phase), inPhase('announced'));
    expect(isOver(end.phase)).toBe(true);
  });

  it('in a phase that only a newer version knows is not over, and nothing is done to it', () => {
    const newer = inPhase('reviewing' as Phase);
    expect([isOver(newer.phase), canRollBack(newer)]).toEqual([false, false]);
    expect(() => advance(newer, 'revoking')).toThrow(expect.objectContaining({ code: 'ERR_CONFLICT' }));
  });

  it('refuses every other arrow as a conflict with what to do', () => {
    expect(() => advance(inPhase('completed'), 'window')).toThrow(
      expect.objectContaining({ code: 'ERR_CONFLICT', retryable: true, remedy: expect.any(String) }),
    );
    expect(() => advance(inPhase('announced'), 'window')).toThrow(
      expect.objectContaining({ code: 'ERR_CONFLICT' }),
    );
  });

  it('never leaves the revocation but forward: the point of no return', () => {
    expect(reachable('revoking').toSorted()).toEqual(['completed', 'preempted', 'rolled-back']);
    for (const phase of ['revoking', 'completed', 'rolled-back', 'aborted', 'preempted'] as const)
      expect(canRollBack(inPhase(phase))).toBe(false);
  });

  it('can be preempted by an emergency in every phase that is not over (hard decision 3)', () => {
    for (const phase of PHASES) expect(reachable(phase).includes('preempted')).toBe(!isOver(phase));
  });

  it('always has a way to its end', () => {
    const ends = (phase: Phase, seen: readonly Phase[] = []): boolean =>
      isOver(phase) ||
      reachable(phase).some(
        (next) => next !== 'preempted' && !seen.includes(next) && ends(next, [...seen, next]),
      );
    expect(PHASES.filter((phase) => !ends(phase))).toEqual([]);
  });

  it('never returns to a phase, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (choices) => {
        let rotation = inPhase('announced');
        const seen = new Set<Phase>([rotation.phase]);
        for (const choice of choices) {
          const next = reachable(rotation.phase);
          const phase = next[choice % Math.max(1, next.length)];
          if (phase === undefined) return;
          // Only the way back passes through suspension and revocation a second time, for the other key.
          if (phase === 'suspending' || phase === 'revoking') seen.delete(phase);
          // A rollback that is refused, since the old credential doesn't work, may be asked for again.
          if (phase === 'window' && rotation.phase === 'rolling-back')
            for (const again of ['window', 'rolling-back'] as const) seen.delete(again);
          // What soaks on the way back is the other key: `canRollBack` refuses.
          if (phase === 'rolling-back' && rotation.phase === 'suspending' && seen.has(phase)) return;
          expect(seen.has(phase)).toBe(false);
          seen.add(phase);
          rotation = advance(rotation, phase);
        }
      }),
    );
  });

  it('cannot be rolled back twice: the way back is no way back', () => {
    expect(canRollBack(inPhase('window'))).toBe(true);
    expect(canRollBack(inPhase('suspending'))).toBe(true);
    expect(canRollBack(inPhase('suspending', { loser: 'next' }))).toBe(false);
    expect(canRollBack(inPhase('rolling-back', { loser: 'next' }))).toBe(false);
  });

  it('can be given up before its promotion only where it is stuck, and never an emergency', () => {
    for (const phase of ['announced', 'issuing', 'activating'] as const) {
      expect(canRollBack(inPhase(phase))).toBe(false);
      expect(canRollBack(inPhase(phase, { stuck: true }))).toBe(true);
      const trigger = { kind: 'emergency', actor: 'incident' } as const;
      expect(canRollBack(inPhase(phase, { stuck: true, trigger }))).toBe(false);
    }
    expect(canRollBack(inPhase('promoting', { stuck: true }))).toBe(false);
  });

  it('ends the old key, or after a rollback the new one', () => {
    expect(loserOf(inPhase('window'))?.handle.generation).toBe(1);
    expect(loserOf(inPhase('rolling-back', { loser: 'next' }))?.handle.generation).toBe(2);
  });

  it('drops nothing but the callback once that is answered', () => {
    const waiting = inPhase('window', { callback: { awaiting: 'window', taskToken: 't' } });
    expect(withoutCallback(waiting)).toEqual(inPhase('window'));
  });
});

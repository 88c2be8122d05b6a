import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { ClientEvidence } from '../../../shared/domain/holder-evidence.ts';
import { namedText, type Named } from '../../../shared/domain/named.ts';
import { resolvePolicy } from '../../../shared/domain/policy.ts';
import { decideWindow, openWindow, type Proof } from '../../../shared/domain/window.ts';

const OPENS = '2026-01-01T00:00:00.000Z';
const NONE: Named = { names: [], more: 0 };

/** An agent of which this many instances, with names as long as they may be, have not acknowledged. */
function seen(index: number, waiting: number): ClientEvidence {
  const names = Array.from({ length: Math.min(waiting, 10) }, (_each, at) => `pod-${at}`.padEnd(128, 'x'));
  const named = { names, more: Math.max(0, waiting - 10) };
  return {
    kind: 'client',
    holder: `agent-${String(index).padStart(4, '0')}`.padEnd(128, 'y'),
    opensAt: OPENS,
    observedAt: OPENS,
    rotation: 'r',
    pacts: {},
    ttlSeconds: 60,
    sessions: waiting,
    moved: 0,
    waiting: named,
    lost: NONE,
    contradicted: NONE,
    acknowledgements: 2,
    digest: `sha256:${index}`,
    missing: waiting === 0 ? [] : [`${waiting} sessions have not acknowledged: ${namedText(named)}`],
  };
}

function proofOf(evidence: readonly ClientEvidence[]): { kind: string; proof: Proof } {
  const holders = evidence.map(({ holder: name }) => ({ kind: 'client' as const, name, principal: 'arn:a' }));
  const policy = resolvePolicy(
    'database',
    { windowSeconds: 1800, deadlineSeconds: 3600, capSeconds: 7200, atDeadline: 'revoke' },
    holders,
    0,
  );
  return decideWindow({
    now: Date.parse(OPENS) + 4000_000,
    window: openWindow(policy, OPENS),
    policy,
    mode: 'enforce',
    holders,
    holderEvidence: evidence,
    usage: {
      observedAt: toInstant(Date.parse(OPENS) + 4000_000),
      lastSeen: null,
      sessions: 0,
      lagSeconds: 0,
    },
    wakeUps: 0,
  });
}

describe('the proof of a thousand agents', () => {
  it('fits into one record, with the names of all of them, whoever has not moved', () => {
    const evidence = Array.from({ length: 1000 }, (_each, index) => seen(index, 12));
    const { kind, proof } = proofOf(evidence);
    expect(kind).toBe('retire');
    expect(proof.complete).toBe(false);
    const record = JSON.stringify(JSON.stringify({ proof, stragglers: proof.missing }));
    expect(Buffer.byteLength(record)).toBeLessThan(120_000);
    expect(proof.missing.at(-1)).toMatch(/^and 9\d\d more$/);
    expect((proof.holders?.length ?? 0) + (proof.left?.holders ?? 0)).toBe(1000);
  });

  it('has whoever has not moved before those who have, of whom their acknowledgements speak by number and digest', () => {
    const late = seen(999, 1);
    const { proof } = proofOf([...Array.from({ length: 999 }, (_each, index) => seen(index, 0)), late]);
    expect(proof.holders?.[0]).toEqual(late);
    const shown = new Set(proof.holders?.map(({ holder }) => holder));
    const left = Array.from({ length: 999 }, (_each, index) => seen(index, 0)).filter(
      ({ holder }) => !shown.has(holder),
    );
    const digests = JSON.stringify(left.map(({ holder, digest }) => [holder, digest]));
    expect(proof.left).toEqual({
      holders: left.length,
      acknowledgements: 2 * left.length,
      digest: `sha256:${createHash('sha256').update(digests).digest('hex')}`,
    });
    expect(proofOf(Array.from({ length: 999 }, (_each, index) => seen(index, 0))).proof.complete).toBe(true);
  });

  it('of a few has everything', () => {
    const evidence = [seen(1, 3), seen(2, 0)];
    const { proof } = proofOf(evidence);
    expect(proof.holders).toEqual(evidence);
    expect(proof.left).toBeUndefined();
    expect(proof.missing).toHaveLength(1);
  });
});

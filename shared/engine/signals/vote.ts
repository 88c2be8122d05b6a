import type { AuditAction } from '../../domain/audit.ts';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import { standingOf } from '../../domain/leak.ts';
import { approve, deny, type HeldSignal, type Vote } from '../../domain/signals/held.ts';
import { findTokens } from '../families/leak.ts';
import { incidentOf } from '../../domain/signals/signal.ts';
import { retrying } from '../patience.ts';
import { startEmergency } from './carry-out.ts';
import type { SignalDeps } from './deps.ts';
import { commitHeld } from './notes.ts';
import { startSuspension } from './suspend.ts';

type VoteDeps = Pick<SignalDeps, 'signals' | 'ledger' | 'families' | 'workflow' | 'clock'>;

/** What somebody decides on a signal that is held. */
export interface VoteRequest extends Omit<Vote, 'at'> {
  readonly id: string;
  readonly verdict: 'approve' | 'deny';
}

/**
 * Records a vote, and starts the emergency once a signal is approved. Vote and record are one transaction; the emergency has the
 * signal's id, so that a repetition after a lost answer joins it.
 * @throws RekeyError ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_CONFLICT
 */
export async function voteOnSignal(deps: VoteDeps, request: VoteRequest): Promise<HeldSignal> {
  const held = await retrying(() => commitVote(deps, request));
  if (held.status === 'approved') {
    const { credentials, families } = await aliveIn(deps, held);
    await startEmergency(deps, {
      id: held.id,
      // Whoever repeats it joins what was started.
      actor: held.approvals.at(-1)?.actor ?? request.actor,
      credentials: credentials.map(({ credentialId, type }) => ({ id: credentialId, type })),
      families: families.map(({ name }) => name),
      signal: held,
    });
  }
  // Again where the answer was lost: it is joined.
  if (held.status === 'denied') {
    const { actor, reason } = held.denial ?? request;
    await startSuspension(deps, held, 'restore', { actor, reason });
  }
  return held;
}

async function commitVote(deps: VoteDeps, { id, verdict, ...vote }: VoteRequest): Promise<HeldSignal> {
  const before = await deps.signals.held(id);
  if (before === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `no signal "${id}" is held`, {
      field: 'id',
      remedy: '`rekey incident held` lists them',
    });
  }
  if (verdict === 'approve' && before.status === 'held') await assertAlive(deps, before);
  const now = deps.clock();
  const { held, changed } = verdict === 'approve' ? approve(before, vote, now) : deny(before, vote, now);
  if (!changed) return held;
  await commitHeld(deps, held, {
    action: actionOf(verdict, vote),
    time: toInstant(now),
    trigger: { kind: 'operator', actor: vote.actor, reason: vote.reason },
    correlationId: id,
    incidentId: incidentOf(id),
    evidence: {
      status: held.status,
      credentials: held.credentials,
      families: held.families,
      reporter: held.reporter,
      heldAt: held.heldAt,
    },
  });
  return held;
}

/**
 * What of it may work, or is being ended by its own emergency. It may have waited for long, or be approved once more: a rotation or
 * a consent since is not followed by an emergency of the next value.
 */
async function aliveIn(
  { ledger, families }: VoteDeps,
  held: HeldSignal,
): Promise<Required<Pick<HeldSignal, 'credentials' | 'families'>>> {
  const found = await findTokens(
    families,
    (held.families ?? []).map(({ fingerprint }) => fingerprint),
  );
  const live = found.filter(({ standing }) => standing.standing === 'live');
  const credentials = await Promise.all(
    held.credentials.map(async (each) => {
      const { credentialId, fingerprint } = each;
      if (fingerprint === undefined) return [each];
      const credential = await ledger.credential(credentialId);
      const keys = await ledger.byFingerprint(fingerprint);
      const own = keys.filter((key) => key.credentialId === credentialId);
      return own.some((key) => standingOf(key, credential, held.id) === 'live') ? [each] : [];
    }),
  );
  return {
    credentials: credentials.flat(),
    families: (held.families ?? []).filter(({ familyId }) =>
      live.some(({ token }) => token.familyId === familyId),
    ),
  };
}

/** @throws RekeyError ERR_CONFLICT where every value has ended since */
async function assertAlive(deps: VoteDeps, held: HeldSignal): Promise<void> {
  const { credentials, families } = await aliveIn(deps, held);
  if (credentials.length + families.length > 0) return;
  throw new RekeyError('ERR_CONFLICT', `every value of signal ${held.id} has ended since it was held`, {
    remedy: 'deny it; whoever wants the next value revoked as well does that in their own name: rekey revoke',
  });
}

function actionOf(verdict: VoteRequest['verdict'], { glass }: Pick<Vote, 'glass'>): AuditAction {
  if (verdict === 'deny') return 'signal-denied';
  return glass === true ? 'glass-broken' : 'signal-approved';
}

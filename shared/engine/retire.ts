import { afterRollback } from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import type { Deactivation, Usage } from '../domain/evidence.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, isOver, loserOf, type Rotation } from '../domain/rotation.ts';
import { decideWindow, type Proof } from '../domain/window.ts';
import type { EngineDeps } from './deps.ts';
import { commit, load, untilCommitted, upstream, without, type Loaded } from './state.ts';
import { usageOf } from './window.ts';

/** What the lifecycle machine does next after a step of the retirement. */
export interface RetireAnswer {
  /** `soak` also where the evidence has changed since the decision: back to the window. */
  readonly decision: 'soak' | 'completed' | 'over' | 'rolling-back';
  readonly waitSeconds: number;
}

/**
 * Ends the loser of a rotation: suspended first (reversible), soaked, then revoked, which is the point of no return.
 * The evidence is read again here, since time has passed since the decision; whoever still has a session open makes
 * it wait, until the deadline (traps, "Databases").
 */
export function retire(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<RetireAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    if (isOver(rotation.phase) || rotation.epoch !== credential.epoch)
      return { decision: 'over', waitSeconds: 1 };
    if (rotation.phase === 'rolling-back' && rotation.window === undefined) {
      return { decision: 'rolling-back', waitSeconds: 1 };
    }
    if (rotation.phase === 'revoking') return revoke(deps, state);
    if (rotation.phase === 'suspending') return soakedOrRevoke(deps, state);
    return begin(deps, state);
  });
}

async function begin(deps: EngineDeps, state: Loaded): Promise<RetireAnswer> {
  const { credential, rotation } = state;
  const { window } = rotation;
  if (window === undefined) throw new RekeyError('ERR_CONFLICT', 'there is no window to close');
  const usage = await usageOf(deps, state);
  const decision = decideWindow({
    now: deps.clock(),
    window,
    policy: credential.policy,
    mode: rotation.phase === 'rolling-back' ? 'enforce' : credential.mode,
    holders: credential.holders,
    holderEvidence: rotation.holderEvidence,
    usage,
    wakeUps: rotation.wakeUps,
  });
  if (decision.kind !== 'retire') return { decision: 'soak', waitSeconds: 1 };
  const evidence = { proof: decision.proof, stragglers: stragglers(decision.stragglers, decision.proof) };
  const { provider } = await upstream(deps, credential);
  if (provider.suspension === undefined || credential.policy.soakSeconds === 0) {
    return revoke(deps, await intendRevocation(deps, state, evidence));
  }
  const suspended = await commit(deps, credential, {
    rotation: advance(rotation, 'suspending', { suspendedAt: toInstant(deps.clock()) }),
    record: { action: 'suspension-intended', evidence },
  });
  await suspend(deps, suspended);
  return { decision: 'soak', waitSeconds: Math.max(1, suspended.credential.policy.soakSeconds) };
}

/** Suspends the loser. A rollback that has come meanwhile may have restored it already: then it is restored again. */
async function suspend(deps: EngineDeps, { credential, rotation }: Loaded): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const { handle } = required(rotation);
  await provider.suspension?.suspend(target, handle, ctx);
  const now = await deps.ledger.rotation(credential.id, rotation.id);
  if (now?.loser !== rotation.loser) await provider.suspension?.restore(target, handle, ctx);
}

async function soakedOrRevoke(deps: EngineDeps, state: Loaded): Promise<RetireAnswer> {
  const { credential, rotation } = state;
  const since = Date.parse(rotation.suspendedAt ?? rotation.updatedAt);
  const left = Math.ceil((since + credential.policy.soakSeconds * 1000 - deps.clock()) / 1000);
  // The process may have died between the intent and the suspension: twice equals once.
  await suspend(deps, state);
  if (left > 0) return { decision: 'soak', waitSeconds: left };
  const usage = await usageOf(deps, state);
  if (hasSessions(usage) && !pastDeadline(deps, rotation)) {
    // Once per window length, however short the soak: the history of the machine is bounded (hard decision 5).
    return { decision: 'soak', waitSeconds: credential.policy.windowSeconds };
  }
  return revoke(deps, await intendRevocation(deps, state, { usage }));
}

function intendRevocation(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  evidence: object,
): Promise<Loaded> {
  return commit(deps, credential, {
    rotation: advance(rotation, 'revoking'),
    record: { action: 'revocation-intended', evidence },
  });
}

async function revoke(deps: EngineDeps, { credential, rotation }: Loaded): Promise<RetireAnswer> {
  const loser = required(rotation);
  const { provider, target, ctx } = await upstream(deps, credential);
  // Sessions that are still open past the deadline belong to stragglers, whom the policy gave up.
  const endSessions = pastDeadline(deps, rotation);
  const deactivation = await provider.revoke(target, loser.handle, { endSessions }, ctx);
  assertConfirmed(deactivation);
  const { activeRotation: _over, ...rest } = credential;
  const back = rotation.loser === 'next';
  await commit(deps, rest, {
    rotation: advance(rotation, back ? 'rolled-back' : 'completed'),
    credential: {
      live: without(credential.live, loser.handle),
      ...(back ? afterRollback(credential) : {}),
    },
    record: {
      action: back ? 'rolled-back' : 'retired',
      deactivation: 'CONFIRMED',
      evidence: { deactivation },
    },
  });
  return { decision: 'completed', waitSeconds: 1 };
}

/** A revocation that can't be confirmed is tried again. */
export function assertConfirmed(deactivation: Deactivation): void {
  if (deactivation.confirmed) return;
  throw new RekeyError('ERR_UNAVAILABLE', `the revocation is not confirmed: ${deactivation.detail}`, {
    remedy: 'it is tried again; look at the upstream if this goes on',
  });
}

function required(rotation: Rotation) {
  const loser = loserOf(rotation);
  if (loser === undefined) throw new RekeyError('ERR_CONFLICT', 'this rotation ends no credential');
  return loser;
}

function hasSessions(usage: Usage): boolean {
  return usage !== 'unknown' && (usage.sessions ?? 0) > 0;
}

function pastDeadline(deps: EngineDeps, rotation: Rotation): boolean {
  return rotation.window !== undefined && deps.clock() >= Date.parse(rotation.window.deadline);
}

/** Who had not moved when the policy gave up on them, in words. */
function stragglers(given: boolean, proof: Proof): readonly string[] {
  return given ? proof.missing : [];
}

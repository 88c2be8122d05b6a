import { afterRollback } from '../domain/calendar.ts';
import { plusSeconds, toInstant } from '../domain/clock.ts';
import { assertConfirmed } from '../domain/evidence.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, loserOf, overtakenBy, type Rotation } from '../domain/rotation.ts';
import { decideSoaked, decideWindow, givesUpStragglers, type WindowDecision } from '../domain/window.ts';
import { awaitOperator, withoutOperator } from './await-operator.ts';
import type { EngineDeps } from './deps.ts';
import { underMaster } from './master.ts';
import { placeOf } from './place.ts';
import { reconcileAt } from './promote.ts';
import { commit, load, untilCommitted, upstream, without, type Loaded } from './state.ts';
import { factsOf, record, type VerifyAnswer } from './window.ts';

/** What the lifecycle machine does next after a step of the retirement. */
export interface RetireAnswer {
  /** `soak` also where the evidence has changed since the decision, or a person is waited for: back to the window. */
  readonly decision: VerifyAnswer['decision'] | 'soak' | 'completed';
  readonly waitSeconds: number;
}

/**
 * Ends the loser of a rotation: suspended first (reversible), soaked, then revoked, which is the point of no return.
 * The evidence is read again here, since time has passed since the decision; whoever still has a session open makes
 * it wait (traps, "Databases"), at the deadline as the policy says.
 */
export function retire(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<RetireAnswer> {
  return underMaster(deps, (watched) => retireUnder(watched, ref));
}

function retireUnder(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<RetireAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    const overtaken = overtakenBy(rotation, credential);
    if (overtaken !== undefined) return { decision: overtaken, waitSeconds: 1 };
    if (rotation.phase === 'revoking') return revoke(deps, state);
    if (rotation.phase === 'suspending') return soakedOrRevoke(deps, state);
    return begin(deps, state);
  });
}

async function begin(deps: EngineDeps, state: Loaded): Promise<RetireAnswer> {
  const { credential, rotation } = state;
  const decision = decideWindow(await factsOf(deps, state));
  if (decision.kind !== 'retire') return { decision: 'soak', waitSeconds: 1 };
  const evidence = evidenceOf(decision);
  // What can't be suspended has a soak only where what it has made outlives it.
  if (credential.policy.soakSeconds === 0) {
    return revoke(deps, await intendRevocation(deps, state, evidence));
  }
  const suspendedAt = toInstant(deps.clock());
  const { soakSeconds } = credential.policy;
  const suspended = await commit(deps, credential, {
    rotation: advance(rotation, 'suspending', {
      suspendedAt,
      checkAt: reconcileAt(deps, plusSeconds(suspendedAt, soakSeconds)),
    }),
    record: { action: 'suspension-intended', evidence },
  });
  await suspend(deps, suspended);
  return { decision: 'soak', waitSeconds: Math.max(1, soakSeconds) };
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
  const decision = decideSoaked(await factsOf(deps, state));
  if (decision.kind !== 'retire') return record(deps, state, decision);
  return revoke(deps, await intendRevocation(deps, state, evidenceOf(decision)));
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

async function revoke(deps: EngineDeps, state: Loaded): Promise<RetireAnswer> {
  const { credential, rotation } = state;
  const loser = required(rotation);
  const at = await upstream(deps, credential);
  const { provider, target, ctx } = at;
  const { policy, holders } = credential;
  const { window } = rotation;
  const endSessions =
    window !== undefined && givesUpStragglers({ now: deps.clock(), window, policy, holders });
  const place = await placeOf(at, loser.handle);
  const deactivation = await provider.revoke(target, loser.handle, { endSessions }, ctx);
  const wait = await awaitOperator(deps, state, [{ handle: loser.handle, deactivation }]);
  if (wait !== undefined) return { decision: wait.isLong ? 'hold' : 'soak', waitSeconds: wait.waitSeconds };
  assertConfirmed(deactivation);
  const { activeRotation: _over, ...rest } = credential;
  const back = rotation.loser === 'next';
  await commit(deps, rest, {
    rotation: withoutOperator(advance(rotation, back ? 'rolled-back' : 'completed')),
    credential: {
      live: without(credential.live, loser.handle),
      ...(back ? afterRollback(credential) : {}),
    },
    record: {
      action: back ? 'rolled-back' : 'retired',
      deactivation: 'CONFIRMED',
      evidence: { deactivation, ...place },
    },
  });
  return { decision: 'completed', waitSeconds: 1 };
}

function required(rotation: Rotation) {
  const loser = loserOf(rotation);
  if (loser === undefined) throw new RekeyError('ERR_CONFLICT', 'this rotation ends no credential');
  return loser;
}

/** The proof, and in words who had not moved when the policy gave up on them. */
function evidenceOf({ proof, stragglers }: Extract<WindowDecision, { kind: 'retire' }>): object {
  return { proof, stragglers: stragglers ? proof.missing : [] };
}

import { plusSeconds, toInstant, type Instant } from '../domain/clock.ts';
import type { Key } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import {
  advance,
  canGiveUp,
  canRollBack,
  isOver,
  overtakenBy,
  type Rotation,
  type Trigger,
} from '../domain/rotation.ts';
import { openWindow } from '../domain/window.ts';
import { sealAcknowledgement } from './acknowledgement.ts';
import type { EngineDeps } from './deps.ts';
import { holderOfCurrent, reconcileAt } from './promote.ts';
import { drive } from './drive.ts';
import { underMaster } from './master.ts';
import {
  answerCallback,
  answered,
  commit,
  load,
  secondsUntil,
  untilCommitted,
  upstream,
  type Loaded,
} from './state.ts';

/** What the lifecycle machine does next after a rollback. */
export interface RollbackAnswer {
  readonly outcome: 'window' | 'over';
  readonly waitSeconds: number;
}

/**
 * Rollback 2 (Z9), the request: tombstones the token before anything else (hard decision 1) and wakes the lifecycle.
 * A rotation that is stuck before its promotion is aborted instead.
 * @throws RekeyError ERR_POINT_OF_NO_RETURN once the old credential's revocation has been intended.
 */
export function requestRollback(
  deps: EngineDeps,
  ref: {
    credentialId: string;
    rotationId: string;
    trigger: Trigger;
    /** What moved an automation to ask for it. */
    evidence?: object;
  },
): Promise<Rotation> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    if (rotation.phase === 'rolled-back' || isOnItsWayBack(rotation)) return rotation;
    if (rotation.phase === 'rolling-back') {
      // Whoever asked first may have died before it woke anybody: whether the lifecycle sleeps or is gone, it goes on.
      if (rotation.window === undefined) await wake(deps, state, true);
      return rotation;
    }
    if (rotation.phase === 'aborting') {
      // It is tried again even where a person was paged, since that person may have mended what was in the way.
      const retried = { ...rotation, repairs: 0, stuck: false, checkAt: stuckAt(deps) };
      await drive(deps, { credential: await deps.ledger.attach(credential, retried), rotation: retried });
      return retried;
    }
    if (canGiveUp(rotation)) return giveUp(deps, state, ref.trigger);
    if (!canRollBack(rotation) || rotation.window === undefined) throw refusal(rotation);
    const { window: formerWindow, ...rest } = rotation;
    const intended = await commit(deps, credential, {
      // The callback stays until the label has moved: only a repetition that still has it can answer it again.
      rotation: advance(rest, 'rolling-back', {
        formerWindow,
        rollback: { ...ref.trigger, at: toInstant(deps.clock()) },
        tombstoned: true,
        loser: 'next',
        wakeUps: 0,
        repairs: 0,
        stuck: false,
        checkAt: stuckAt(deps),
      }),
      record: {
        action: 'rollback-intended',
        trigger: ref.trigger,
        ...(ref.evidence === undefined ? {} : { evidence: ref.evidence }),
      },
    });
    // Where a person had been paged, or has paused it, the lifecycle has ended: it gets a new execution.
    await wake(deps, intended, rotation.stuck === true || credential.paused !== undefined);
    return intended.rotation;
  });
}

/** Rolled back, with the new credential still to be retired. */
function isOnItsWayBack({ phase, loser }: Rotation): boolean {
  return loser === 'next' && (phase === 'suspending' || phase === 'revoking');
}

async function wake(deps: EngineDeps, state: Loaded, anew: boolean): Promise<void> {
  await answerCallback(deps, state.rotation, 'rolling-back', 0);
  if (anew) await drive(deps, state);
}

/** The intent to abort; the lifecycle, which may reach the upstream, does it. */
async function giveUp(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  trigger: Trigger,
): Promise<Rotation> {
  const failure = rotation.failure ?? { code: 'ERR_TIMEOUT', message: 'it was stuck, and was given up' };
  const intended = await commit(deps, credential, {
    rotation: advance(rotation, 'aborting', {
      tombstoned: true,
      failure,
      repairs: 0,
      stuck: false,
      checkAt: stuckAt(deps),
    }),
    record: { action: 'abort-intended', trigger, evidence: failure },
  });
  await drive(deps, intended);
  return intended.rotation;
}

function stuckAt(deps: EngineDeps): Instant {
  return plusSeconds(toInstant(deps.clock()), deps.timing.stuckAfterSeconds);
}

function refusal(rotation: Rotation): RekeyError {
  if (isOver(rotation.phase) || rotation.phase === 'revoking') {
    return new RekeyError(
      'ERR_POINT_OF_NO_RETURN',
      `this rotation is ${rotation.phase}: the old credential can't come back`,
      { remedy: 'start a new rotation; its window gives the time to look' },
    );
  }
  return new RekeyError('ERR_CONFLICT', `a rotation in phase ${rotation.phase} has not been promoted yet`, {
    remedy: 'agents still use the old credential; a failure aborts this rotation by itself',
  });
}

/**
 * Brings the old credential back: restores it where it was suspended, proves that it works, moves the label back and
 * opens a window for the way back, since agents that have moved must keep working until they return (Z1).
 */
export function rollback(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<RollbackAnswer> {
  return underMaster(deps, (watched) => rollbackUnder(watched, ref));
}

function rollbackUnder(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<RollbackAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    if (overtakenBy(rotation, credential) === 'over') return { outcome: 'over', waitSeconds: 1 };
    // Refused a moment ago, by this call's former attempt or by another execution.
    if (['window', 'suspending', 'revoking'].includes(rotation.phase)) {
      return { outcome: 'window', waitSeconds: secondsUntil(deps, rotation.window?.earliestClose ?? '') };
    }
    if (rotation.phase !== 'rolling-back') {
      throw new RekeyError(
        'ERR_CONFLICT',
        `nobody asked to roll back this rotation (phase ${rotation.phase})`,
      );
    }
    const { window } = rotation.window === undefined ? await bringBack(deps, state) : rotation;
    return { outcome: 'window', waitSeconds: secondsUntil(deps, window?.earliestClose ?? '') };
  });
}

async function bringBack(deps: EngineDeps, state: Loaded): Promise<Rotation> {
  const { credential, rotation } = state;
  const { old, next } = rotation;
  const secret = credential.secretArn;
  if (old === undefined || next === undefined || secret === undefined) {
    throw new RekeyError('ERR_CONFLICT', 'a rollback needs an old and a new credential');
  }
  try {
    await proveOld(deps, state, secret, old);
  } catch (error) {
    if (!isRekeyError(error, ...NO_WAY_BACK)) throw error;
    // Where an interrupted attempt has moved the label already, agents are on their way: only a person can decide.
    if ((await holderOfCurrent(deps, secret)) !== next.versionId) throw error;
    return refuse(deps, state, error);
  }
  const acknowledgement = await sealAcknowledgement(deps, credential, rotation.id, old);
  await deps.vault.promote(secret, { to: old.versionId, from: next.versionId });
  // Secrets Manager would "reattempt" a version that still carries AWSPENDING (hard decision 1).
  await deps.vault.stripPending(secret, next.versionId);
  const window = openWindow(credential.policy, toInstant(deps.clock()));
  const { suspendedAt: _restored, formerWindow: _closed, acknowledgement: _of, ...rest } = answered(rotation);
  const opened = await commit(deps, credential, {
    rotation: {
      ...rest,
      window,
      ...(acknowledgement && { acknowledgement: { ...acknowledgement, opensAt: window.opensAt } }),
      checkAt: reconcileAt(deps, window.earliestClose),
    },
    credential: { current: old },
    record: { action: 'rollback-window-opened', window },
  });
  return opened.rotation;
}

/** Errors by which the old credential says for good that it doesn't work. */
const NO_WAY_BACK = ['ERR_REJECTED', 'ERR_MATERIAL_MISMATCH', 'ERR_POINT_OF_NO_RETURN'] as const;

/** Restores the old credential where it was suspended, and uses it as an agent would. */
async function proveOld(deps: EngineDeps, state: Loaded, secret: string, old: Key): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, state.credential);
  if (state.rotation.suspendedAt !== undefined) await provider.suspension?.restore(target, old.handle, ctx);
  const text = await deps.vault.read(secret, { versionId: old.versionId });
  if (text === undefined) throw new RekeyError('ERR_REJECTED', 'the old version of the secret is gone');
  await provider.verify(target, provider.material(text), ctx);
}

/**
 * Takes the request back: there is nothing to return to, so agents stay on the new credential and its window goes on.
 * The tombstone may go: the token's version is AWSCURRENT, so all its steps are done, and whichever comes late finds
 * the label there and does nothing.
 */
async function refuse(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  { code, message }: RekeyError,
): Promise<Rotation> {
  const { suspendedAt: _restored, formerWindow, rollback: _refused, ...rest } = answered(rotation);
  const window = formerWindow ?? openWindow(credential.policy, toInstant(deps.clock()));
  const refused = await commit(deps, credential, {
    rotation: advance(rest, 'window', {
      window,
      loser: 'old',
      tombstoned: false,
      checkAt: reconcileAt(deps, window.earliestClose),
    }),
    record: { action: 'rollback-refused', window, evidence: { code, message } },
  });
  return refused.rotation;
}

import { toInstant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, canRollBack, isOver, type Rotation, type Trigger } from '../domain/rotation.ts';
import { openWindow } from '../domain/window.ts';
import type { EngineDeps } from './deps.ts';
import { reconcileAt } from './promote.ts';
import { drive } from './requests.ts';
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
 * @throws RekeyError ERR_POINT_OF_NO_RETURN once the old credential's revocation has been intended.
 */
export function requestRollback(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string; trigger: Trigger },
): Promise<Rotation> {
  return untilCommitted(async () => {
    const { credential, rotation } = await load(deps, ref.credentialId, ref.rotationId);
    if (rotation.phase === 'rolling-back' || rotation.phase === 'rolled-back') return rotation;
    if (!canRollBack(rotation) || rotation.window === undefined) throw refusal(rotation);
    const { window: _closed, ...rest } = rotation;
    const intended = await commit(deps, credential, {
      rotation: answered(
        advance(rest, 'rolling-back', {
          tombstoned: true,
          loser: 'next',
          wakeUps: 0,
          repairs: 0,
          stuck: false,
        }),
      ),
      record: { action: 'rollback-intended', trigger: ref.trigger },
    });
    await answerCallback(deps, rotation, 'rolling-back');
    // Where a person had been paged, the lifecycle has ended: it gets a new execution.
    if (rotation.stuck === true) await drive(deps, intended);
    return intended.rotation;
  });
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
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    if (isOver(rotation.phase) || rotation.epoch !== credential.epoch)
      return { outcome: 'over', waitSeconds: 1 };
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

async function bringBack(deps: EngineDeps, { credential, rotation }: Loaded): Promise<Rotation> {
  const { old, next } = rotation;
  const secret = credential.secretArn;
  if (old === undefined || next === undefined || secret === undefined) {
    throw new RekeyError('ERR_CONFLICT', 'a rollback needs an old and a new credential');
  }
  const { provider, target, ctx } = await upstream(deps, credential);
  if (rotation.suspendedAt !== undefined) await provider.suspension?.restore(target, old.handle, ctx);
  const text = await deps.vault.read(secret, { versionId: old.versionId });
  if (text === undefined) throw new RekeyError('ERR_REJECTED', 'the old version of the secret is gone');
  await provider.verify(target, provider.material(text), ctx);
  await deps.vault.promote(secret, { to: old.versionId, from: next.versionId });
  // Secrets Manager would "reattempt" a version that still carries AWSPENDING (hard decision 1).
  await deps.vault.stripPending(secret, next.versionId);
  const window = openWindow(credential.policy, toInstant(deps.clock()));
  const { suspendedAt: _restored, ...rest } = rotation;
  const opened = await commit(deps, credential, {
    rotation: { ...rest, window, checkAt: reconcileAt(deps, window.earliestClose) },
    credential: { current: old },
    record: { action: 'rollback-window-opened', window },
  });
  return opened.rotation;
}

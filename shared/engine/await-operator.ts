import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { CredentialHandle } from '../domain/credential.ts';
import { awaitsOperator, type Deactivation } from '../domain/evidence.ts';
import { MAX_OPERATOR_LOOKS, operatorWaitSeconds } from '../domain/operator.ts';
import type { Rotation } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { reconcileAt } from './promote.ts';
import { commit, type Loaded } from './state.ts';

/** What was tried to end. */
interface Tried {
  readonly handle: CredentialHandle;
  readonly deactivation: Deactivation;
}

/** How the waiting for a person goes on. */
export interface OperatorWait {
  readonly waitSeconds: number;
  /** Asked in vain so often that the execution ends, which pages; the schedule goes on looking. */
  readonly isLong: boolean;
}

/**
 * Where only a person can end some of what was tried: tells them what to do, once, and says when to look again. Undefined where
 * nothing waits for one. The callback stays: whoever says that it is done answers it.
 */
export async function awaitOperator(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  tried: readonly Tried[],
): Promise<OperatorWait | undefined> {
  const waiting = tried.filter(({ deactivation }) => awaitsOperator(deactivation));
  if (waiting.length === 0) return undefined;
  const { awaitsOperator: before } = rotation;
  const now = toInstant(deps.clock());
  const looks = (before?.looks ?? 0) + 1;
  const byHand = waiting.flatMap(({ deactivation }) => deactivation.byHand ?? []).join('; ');
  const waitSeconds = operatorWaitSeconds(looks);
  const nextLook = plusSeconds(now, waitSeconds);
  const isLong = looks >= MAX_OPERATOR_LOOKS;
  const next: Rotation = {
    ...rotation,
    awaitsOperator: {
      since: before?.since ?? now,
      handles: waiting.map(({ handle }) => handle),
      byHand,
      looks,
    },
    ...(isLong ? { stuck: true } : {}),
    // Where no execution waits any more, the schedule is who looks.
    checkAt: isLong || rotation.stuck === true ? nextLook : reconcileAt(deps, nextLook),
  };
  // Told at once, and again where it has taken long.
  if (before === undefined || looks === MAX_OPERATOR_LOOKS) {
    const deactivations = waiting.map(({ deactivation }) => deactivation);
    await commit(deps, credential, {
      rotation: next,
      record: {
        action: 'operator-awaited',
        deactivation: 'NOT CONFIRMED',
        evidence: { byHand, looks, deactivations },
      },
    });
  } else await deps.ledger.attach(credential, next);
  return { waitSeconds, isLong };
}

/** Of a rotation that waits for nobody any more. */
export function withoutOperator({ awaitsOperator: _ended, ...rotation }: Rotation): Rotation {
  return rotation;
}

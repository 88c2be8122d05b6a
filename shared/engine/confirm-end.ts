import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { operatorAwaited, type Deactivation } from '../domain/evidence.ts';
import { isOver, type Rotation, type Trigger } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { drive } from './drive.ts';
import type { HandleRef } from './leak.ts';
import { answerCallback, commit, load, untilCommitted, without, type Loaded } from './state.ts';

/** Parts of the API's function; the upstream is asked by one that may. */
export type ConfirmEndDeps = EngineDeps & {
  readonly deactivation: (ref: HandleRef) => Promise<Deactivation>;
};

/**
 * Somebody says that they have ended what only a person can end. Nobody's word counts: the upstream is asked, and while it
 * takes the value this is refused. Where it refuses it, who said so is recorded and the rotation goes on at once, by its
 * own look. The same again after that is success.
 * @throws RekeyError ERR_AWAITING_OPERATOR, ERR_CONFLICT where nothing waits for a person.
 */
export function confirmEnd(
  deps: ConfirmEndDeps,
  ref: { credentialId: string; rotationId: string; trigger: Trigger },
): Promise<Rotation> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    const { awaitsOperator } = rotation;
    const isDone = isOver(rotation.phase);
    if (isDone && isEnded(state)) return rotation;
    if (isDone || awaitsOperator === undefined) throw nothingAwaited(state);
    const looked = await Promise.all(
      awaitsOperator.handles.map((handle) => deps.deactivation({ credentialId: credential.id, handle })),
    );
    const alive = looked.filter(({ confirmed }) => !confirmed);
    if (alive.length > 0) throw stillTaken(credential, alive);
    const confirmed = await commit(deps, credential, {
      rotation: {
        ...rotation,
        awaitsOperator: { ...awaitsOperator, confirmedAt: toInstant(deps.clock()) },
        repairs: 0,
        stuck: false,
        checkAt: plusSeconds(toInstant(deps.clock()), deps.timing.stuckAfterSeconds),
      },
      record: { action: 'operator-confirmed', trigger: ref.trigger, evidence: { deactivations: looked } },
    });
    // Where its execution has ended it gets a new one; whichever it is, it looks for itself.
    if (rotation.stuck === true) await drive(deps, confirmed);
    else await answerCallback(deps, rotation, 'verify');
    return confirmed.rotation;
  });
}

/** Whether it has seen the end of what it was to end: not where an emergency has come before, or mode overlap has kept that. */
function isEnded({ credential, rotation: { phase, old } }: Loaded): boolean {
  if (phase !== 'completed' || old === undefined) return phase !== 'preempted';
  return without(credential.live, old.handle).length === credential.live.length;
}

function stillTaken({ name }: Credential, alive: readonly Deactivation[]): RekeyError {
  const { remedy = 'delete it at its upstream, then confirm again' } = operatorAwaited(...alive);
  const seen = alive.map(({ detail }) => detail).join('; ');
  return new RekeyError('ERR_AWAITING_OPERATOR', `${seen}: nothing was recorded of ${name}`, {
    remedy,
  });
}

function nothingAwaited({ credential, rotation }: Loaded): RekeyError {
  return new RekeyError(
    'ERR_CONFLICT',
    `the rotation is ${rotation.phase}: nothing of ${credential.name} waits for a person to end it`,
    { field: 'rotation', remedy: `rekey show ${credential.name} shows where it stands` },
  );
}

import { toInstant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance } from '../domain/rotation.ts';
import { firstLook, openWindow } from '../domain/window.ts';
import { sealAcknowledgement } from './acknowledgement.ts';
import type { EngineDeps } from './deps.ts';
import { outlook } from './outlook.ts';
import { placeOf } from './place.ts';
import { testSecret } from './prove.ts';
import type { StepInput } from './rotation-step.ts';
import {
  answerCallback,
  answered,
  assertNotPreempted,
  commit,
  load,
  secondsUntil,
  upstream,
  type Loaded,
} from './state.ts';

/**
 * finishSecret: moves AWSCURRENT and opens the window. The proof is repeated, since a step may come out of order. The
 * intent precedes the move; if the process dies after the move, the repetition finds the label there and records it.
 */
export async function finishSecret(deps: EngineDeps, input: StepInput): Promise<void> {
  let state = await load(deps, input.credentialId, input.token);
  assertNotPreempted(state);
  if (['announced', 'issuing'].includes(state.rotation.phase)) {
    throw new RekeyError('ERR_PROTOCOL', 'createSecret has not stored a value for this token', {
      field: 'ClientRequestToken',
    });
  }
  if (state.rotation.phase === 'activating') {
    const permissions = await testSecret(deps, state, input);
    const at = await upstream(deps, state.credential);
    const place = state.rotation.next === undefined ? {} : await placeOf(at, state.rotation.next.handle);
    state = await commit(deps, state.credential, {
      rotation: advance(state.rotation, 'promoting'),
      record: {
        action: 'promotion-intended',
        evidence: { tested: 'login of the new credential', permissions, ...place },
      },
      outlook: await outlook(at),
    });
  }
  if (state.rotation.phase === 'promoting') await promote(deps, state, input.secret.arn);
}

/** Moves the label and records it. */
export async function promote(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  secret: string,
): Promise<Loaded> {
  const { next, old } = rotation;
  if (next === undefined || old === undefined) {
    throw new RekeyError('ERR_PROTOCOL', 'a window needs an old and a new credential');
  }
  const acknowledgement = await sealAcknowledgement(deps, credential, rotation.id, next);
  // From the old version only: where an emergency or a hand has moved the label meanwhile, the vault refuses.
  await deps.vault.promote(secret, { to: next.versionId, from: old.versionId });
  const window = openWindow(credential.policy, toInstant(deps.clock()));
  const look = firstLook(credential.policy, window);
  const opened = await commit(deps, credential, {
    rotation: answered(
      advance(rotation, 'window', {
        window,
        ...(acknowledgement && { acknowledgement: { ...acknowledgement, opensAt: window.opensAt } }),
        checkAt: reconcileAt(deps, look),
      }),
    ),
    credential: { current: next },
    record: { action: 'window-opened', window },
  });
  await answerCallback(deps, rotation, 'window', secondsUntil(deps, look));
  return opened;
}

/** The version that carries AWSCURRENT now. */
export async function holderOfCurrent(deps: EngineDeps, secret: string): Promise<string | undefined> {
  const described = await deps.vault.describe(secret);
  return Object.entries(described?.versions ?? {}).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
}

/** A wake-up that doesn't come is noticed this long after it was due. */
export function reconcileAt(deps: EngineDeps, wakeUp: string): string {
  return toInstant(Date.parse(wakeUp) + deps.timing.stuckAfterSeconds * 1000);
}

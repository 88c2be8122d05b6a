import { plusSeconds, toInstant } from '../domain/clock.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { isOver, isPaused, overtakenBy, type Rotation } from '../domain/rotation.ts';
import { firstLook } from '../domain/window.ts';
import { abort } from './abort.ts';
import { MAX_REPAIRS, type EngineDeps } from './deps.ts';
import { finishSecret, promote } from './promote.ts';
import { drive } from './drive.ts';
import { underMaster } from './master.ts';
import { commit, load, loadCredential, secondsUntil, untilCommitted, type Loaded } from './state.ts';

/** What became of a rotation, in the words of the lifecycle machine. */
export interface ReconcileAnswer {
  readonly outcome: 'window' | 'aborted' | 'preempted' | 'over' | 'stuck' | 'rolling-back' | 'rotate';
  readonly waitSeconds: number;
}

interface Ref {
  readonly credentialId: string;
  readonly rotationId: string;
}

/** Longest time between two looks at a rotation that a person has been paged for, or has paused. */
const PAGED_AGAIN_SECONDS = 24 * 3600;

/**
 * Rollback 3 (Z7, Z10): whoever drove this rotation is gone. Works out from the ledger, the labels and the upstream
 * how far it came, then finishes or undoes it. After MAX_REPAIRS a person is paged; the schedule goes on looking once
 * a day, since what failed may have been mended meanwhile.
 */
export function reconcile(deps: EngineDeps, ref: Ref): Promise<ReconcileAnswer> {
  return reconcileUpTo(deps, ref, MAX_REPAIRS);
}

function reconcileUpTo(deps: EngineDeps, ref: Ref, maxRepairs: number): Promise<ReconcileAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    if (rotation.epoch !== credential.epoch) return { outcome: 'preempted', waitSeconds: 1 };
    if (isOver(rotation.phase))
      return { outcome: rotation.phase === 'aborted' ? 'aborted' : 'over', waitSeconds: 1 };
    if (isPaused(rotation, credential)) return rest(deps, state);
    // An emergency's replacement is the emergency machine's alone; one that is left over needs a person.
    if (rotation.trigger.kind === 'emergency' || rotation.repairs >= maxRepairs) return page(deps, state);
    const counted = await count(deps, state);
    try {
      return await underMaster(deps, (watched) => repair(watched, counted));
    } catch (error) {
      if (!isRekeyError(error)) throw error;
      if (error.retryable && counted.rotation.repairs < MAX_REPAIRS) throw error;
      return page(deps, await load(deps, ref.credentialId, ref.rotationId), error);
    }
  });
}

/**
 * The scheduled form: every rotation whose time to be looked at has passed. One that is repaired in its window gets a
 * lifecycle of its own, since the former one is not known to live; two at once do no harm, each step is fenced.
 * @param type Only rotations of credentials of this type.
 */
export async function reconcileAll(
  deps: EngineDeps,
  type?: string,
): Promise<{ rotationId: string; outcome: ReconcileAnswer['outcome'] | 'failed' }[]> {
  const due = await deps.ledger.unfinished(toInstant(deps.clock()));
  const answers = [];
  for (const ref of due) {
    try {
      if (type !== undefined && (await loadCredential(deps, ref.credentialId)).type !== type) continue;
      const { outcome } = await reconcileUpTo(deps, ref, Number.POSITIVE_INFINITY);
      if (outcome === 'window' || outcome === 'rotate' || outcome === 'rolling-back') {
        await drive(deps, await load(deps, ref.credentialId, ref.rotationId));
      }
      answers.push({ rotationId: ref.rotationId, outcome });
    } catch (error) {
      if (!isRekeyError(error)) throw error;
      answers.push({ rotationId: ref.rotationId, outcome: 'failed' as const });
    }
  }
  return answers;
}

/** Nothing is counted and nobody is paged: unpausing gives it an execution of its own. */
async function rest(deps: EngineDeps, { credential, rotation }: Loaded): Promise<ReconcileAnswer> {
  const checkAt = plusSeconds(toInstant(deps.clock()), PAGED_AGAIN_SECONDS);
  await deps.ledger.attach(credential, { ...rotation, checkAt });
  return { outcome: 'over', waitSeconds: 1 };
}

function repair(deps: EngineDeps, state: Loaded): Promise<ReconcileAnswer> {
  switch (state.rotation.phase) {
    case 'announced':
      // What refused to rotate is left alone for a while: it may be mended by then.
      return Promise.resolve({ outcome: 'rotate', waitSeconds: secondsUntil(deps, state.rotation.checkAt) });
    case 'issuing':
    case 'activating':
    case 'promoting':
      return finishOrAbort(deps, state);
    case 'aborting':
      return aborted(deps, state, state.rotation.failure);
    case 'window':
    case 'suspending':
    case 'revoking':
    case 'rolling-back':
      // What failed is tried again after the same pause after which the schedule would look.
      return Promise.resolve({
        outcome: overtakenBy(state.rotation, state.credential) === 'rolling-back' ? 'rolling-back' : 'window',
        waitSeconds: secondsUntil(deps, state.rotation.checkAt),
      });
    case 'completed':
    case 'aborted':
    case 'rolled-back':
    case 'preempted':
      return Promise.resolve({ outcome: 'over', waitSeconds: 1 });
  }
  throw new RekeyError('ERR_PROTOCOL', 'this phase is of a newer version of Rekey', {
    remedy: 'deploy that version again: this one leaves the rotation as it is',
  });
}

/** Tests the pending value at the provider, then finishes, or strips the label and undoes (traps). */
async function finishOrAbort(deps: EngineDeps, state: Loaded): Promise<ReconcileAnswer> {
  const { credential, rotation } = state;
  if (credential.secretArn === undefined)
    throw new RekeyError('ERR_CONFLICT', 'the secret does not exist yet');
  const secret = await deps.vault.describe(credential.secretArn);
  if (secret === undefined)
    throw new RekeyError('ERR_NOT_FOUND', `the secret ${credential.secretName} is gone`);
  const stages = secret.versions[rotation.id] ?? [];
  if (stages.includes('AWSCURRENT') && rotation.phase === 'promoting') {
    return opened(deps, await promote(deps, state, secret.arn));
  }
  if (stages.includes('AWSPENDING') && rotation.phase !== 'issuing') {
    try {
      await finishSecret(deps, { credentialId: credential.id, token: rotation.id, secret });
      return opened(deps, await load(deps, credential.id, rotation.id));
    } catch (error) {
      if (!isRekeyError(error) || error.retryable) throw error;
    }
  }
  const { hindrance } = rotation;
  const why = hindrance === undefined ? '' : ` (${hindrance.code}: ${hindrance.message})`;
  return aborted(deps, state, {
    code: 'ERR_TIMEOUT',
    message: `the rotation stopped before the new credential worked${why}`,
  });
}

async function aborted(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  failure: Rotation['failure'],
): Promise<ReconcileAnswer> {
  await abort(deps, credential.id, rotation.id, failure ?? { code: 'ERR_TIMEOUT', message: 'abandoned' });
  const { phase } = (await load(deps, credential.id, rotation.id)).rotation;
  // A person has to end what it has issued, and was told.
  return { outcome: phase === 'aborting' ? 'stuck' : 'aborted', waitSeconds: 1 };
}

function opened(deps: EngineDeps, { credential, rotation: { window } }: Loaded): ReconcileAnswer {
  const look = window === undefined ? '' : firstLook(credential.policy, window);
  return { outcome: 'window', waitSeconds: secondsUntil(deps, look) };
}

/** Counts the repair before it is tried, so that one that kills the process is counted too. */
async function count(deps: EngineDeps, { credential, rotation }: Loaded): Promise<Loaded> {
  const backoff = Math.min(PAGED_AGAIN_SECONDS, deps.timing.stuckAfterSeconds * 2 ** rotation.repairs);
  const counted: Rotation = {
    ...rotation,
    repairs: rotation.repairs + 1,
    checkAt: plusSeconds(toInstant(deps.clock()), backoff),
  };
  return { credential: await deps.ledger.attach(credential, counted), rotation: counted };
}

async function page(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  cause?: RekeyError,
): Promise<ReconcileAnswer> {
  const paged: Rotation = {
    ...rotation,
    stuck: true,
    checkAt: plusSeconds(toInstant(deps.clock()), PAGED_AGAIN_SECONDS),
  };
  if (rotation.stuck === true) {
    await deps.ledger.attach(credential, paged);
  } else {
    await commit(deps, credential, {
      rotation: paged,
      record: {
        action: 'stuck',
        evidence: {
          phase: rotation.phase,
          repairs: rotation.repairs,
          ...rotation.failure,
          ...(cause === undefined ? {} : { cause: { code: cause.code, message: cause.message } }),
        },
      },
    });
  }
  return { outcome: 'stuck', waitSeconds: 1 };
}

import { plusSeconds, toInstant } from '../domain/clock.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { announcedSeconds, isPaused, type Rotation, type Trigger } from '../domain/rotation.ts';
import type { LifecycleOutcome } from '../ports/workflow.ts';
import { defer, skipDeferral } from './deferral.ts';
import type { EngineDeps } from './deps.ts';
import { orderOf, type Dependants } from './order.ts';
import { clearPending } from './pending.ts';
import { announce, assertMayBegin } from './start.ts';
import { load, loadCredential, untilCommitted, type Loaded } from './state.ts';

/** What has come of a request for a rotation. */
export interface Requested {
  readonly rotation: Rotation;
  /** The request has begun nothing: the rotation was there. */
  readonly joined: boolean;
  /** What the planner would have waited for. A person goes before it, and is told. */
  readonly beside: readonly string[];
}

/**
 * Starts a rotation on a token of the caller's. The same token again joins what it has started; another rotation
 * under way is refused with what is under way, unless it is only announced and `now` ends its waiting for sessions.
 * @throws RekeyError ERR_NOT_FOUND, ERR_MODE, ERR_PAUSED, ERR_WINDOW_OPEN, ERR_ROTATION_UNDER_WAY.
 */
export function requestRotation(
  deps: EngineDeps & { readonly dependants?: Dependants },
  request: {
    name: string;
    token: string;
    trigger: Trigger;
    /** Whoever is in session: an announced rotation that waits for a gap begins. */
    now?: boolean;
    /** What it belongs to, as the operators call that. */
    incidentId?: string;
    /** Its holders have nothing that works. */
    urgent?: true;
  },
): Promise<Requested> {
  return untilCommitted(async () => {
    const credentialId = await idOf(deps, request.name);
    const credential = await loadCredential(deps, credentialId);
    const existing = await deps.ledger.rotation(credentialId, request.token);
    const active =
      existing ??
      (credential.activeRotation === undefined
        ? undefined
        : await deps.ledger.rotation(credentialId, credential.activeRotation));
    const joins = request.now === true && active?.phase === 'announced' && credential.paused === undefined;
    const joined = existing ?? (joins ? active : undefined);
    if (joined === undefined) assertMayBegin(credential, active, deps.clock());
    const order = await orderOf(deps, credential, deps.dependants);
    const state =
      joined === undefined
        ? await announce(deps, credential, request.token, request.trigger, order, aboutOf(request))
        : { credential, rotation: joined };
    const rotation = request.now === true ? await skipDeferral(deps, state, request.trigger) : state.rotation;
    // Idempotent by its name: a caller that died after the commit is helped by its own repetition.
    if (rotation.phase === 'announced') {
      await deps.workflow.startLifecycle({ credentialId, rotationId: rotation.id, type: credential.type }, 0);
    }
    return { rotation, joined: joined !== undefined, beside: order.obstacles.map(({ text }) => text) };
  });
}

/** What the lifecycle machine does next after the announcement. */
export interface AnnounceAnswer {
  readonly phase: 'rotate' | 'window' | 'over';
  readonly waitSeconds: number;
}

/** First state of the lifecycle: reads where the rotation stands, so that a second execution can take over anywhere. */
export async function enterLifecycle(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<AnnounceAnswer> {
  const { credential, rotation } = await load(deps, ref.credentialId, ref.rotationId);
  if (rotation.epoch !== credential.epoch || isPaused(rotation, credential))
    return { phase: 'over', waitSeconds: 0 };
  switch (rotation.phase) {
    case 'announced': {
      const due = Date.parse(rotation.startedAt) + announcedSeconds(rotation, credential.policy) * 1000;
      return { phase: 'rotate', waitSeconds: Math.max(0, Math.ceil((due - deps.clock()) / 1000)) };
    }
    case 'issuing':
    case 'activating':
    case 'promoting':
    case 'aborting':
      return { phase: 'rotate', waitSeconds: 0 };
    case 'window':
    case 'suspending':
    case 'revoking':
    case 'rolling-back':
      return { phase: 'window', waitSeconds: 1 };
    case 'completed':
    case 'aborted':
    case 'rolled-back':
    case 'preempted':
      return { phase: 'over', waitSeconds: 0 };
  }
}

function aboutOf({
  incidentId,
  urgent,
}: Pick<Rotation, 'incidentId' | 'urgent'>): Pick<Rotation, 'incidentId' | 'urgent'> {
  return { ...(incidentId === undefined ? {} : { incidentId }), ...(urgent === undefined ? {} : { urgent }) };
}

/**
 * Asks Secrets Manager to rotate under the token of this rotation and leaves the task token for `finishSecret`. What
 * finished before the token was there is answered at once; a vault that rotates already is left alone.
 */
export function startRotation(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string; taskToken: string; defers?: true },
): Promise<void> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const answer = (outcome: LifecycleOutcome['outcome'], waitSeconds = 1) =>
      deps.workflow.answer(ref.taskToken, { outcome, waitSeconds });
    const elsewhere = overtaken(state);
    if (elsewhere !== undefined) return answer(elsewhere);
    // An execution of the version before knows no deferral: it rotates, as it did then.
    const next = ref.defers === true ? await defer(deps, state) : { outcome: 'begins' as const, state };
    if (next.outcome !== 'begins') return answer(next.outcome, next.waitSeconds);
    const { credential, rotation } = next.state;
    await deps.ledger.attach(credential, {
      ...rotation,
      callback: { awaiting: 'rotate', taskToken: ref.taskToken },
      checkAt: plusSeconds(toInstant(deps.clock()), deps.timing.stuckAfterSeconds),
    });
    if (rotation.trigger.kind === 'vault' && rotation.phase !== 'announced') return;
    if (credential.secretArn === undefined)
      throw new RekeyError('ERR_CONFLICT', 'the secret does not exist yet');
    await clearPending(deps, credential.secretArn, rotation.id);
    await deps.vault.rotate(credential.secretArn, rotation.id);
  });
}

/** What has become of a rotation that is to begin, where it isn't to any more. */
function overtaken({ credential, rotation }: Loaded): LifecycleOutcome['outcome'] | undefined {
  const { phase, window } = rotation;
  if (rotation.epoch !== credential.epoch || phase === 'preempted') return 'preempted';
  if (phase === 'aborted') return 'aborted';
  if (isPaused(rotation, credential)) return 'over';
  // The reconciler, to which this leads, finishes what was given up.
  if (phase === 'aborting') throw new RekeyError('ERR_TOMBSTONED', 'this rotation is being aborted');
  return window !== undefined || phase === 'rolling-back' ? 'window' : undefined;
}

/** The id of a credential by name or id; ERR_NOT_FOUND where there is none. */
export async function idOf(deps: Pick<EngineDeps, 'ledger'>, name: string): Promise<string> {
  const id = await deps.ledger.idByName(name);
  if (id !== undefined) return id;
  try {
    const byId = await deps.ledger.credential(name);
    if (byId !== undefined) return byId.id;
  } catch (error) {
    if (!isRekeyError(error, 'ERR_NOT_FOUND')) throw error;
  }
  throw new RekeyError('ERR_NOT_FOUND', `there is no credential "${name}"`, {
    field: 'name',
    remedy: 'rekey list shows the names',
  });
}

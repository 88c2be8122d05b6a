import type { AuditDraft } from '../domain/audit.ts';
import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { isPausable, withoutCallback, type Rotation, type Trigger } from '../domain/rotation.ts';
import { withoutLooks } from '../domain/holder-evidence.ts';
import { withoutPause } from '../domain/window.ts';
import type { Backstop } from './backstop.ts';
import type { EngineDeps } from './deps.ts';
import { drive } from './drive.ts';
import { assertActive } from './start.ts';
import { answerCallback, loadCredential, untilCommitted } from './state.ts';

/** What pausing works with: the schedule is at the secret, which only another function may touch. */
export type PauseDeps = EngineDeps & { readonly alignBackstop: (credentialId: string) => Promise<Backstop> };

/** What became of a request to pause or to unpause. */
export interface PauseAnswer {
  readonly credential: Credential;
  /** False where it was so already: its first request stands. */
  readonly changed: boolean;
  /** `later`: the four steps are under way; asked for again, the schedule follows. */
  readonly backstop: Backstop;
}

interface Ref {
  readonly credentialId: string;
  readonly trigger: Trigger;
}

/**
 * A person's decision that nothing rotates or retires until `unpause`: from the commit on, planner, lifecycle and every
 * step that would begin a rotation refuse. The waiting lifecycle is ended, and the schedule of Secrets Manager cancelled;
 * a repetition completes both. An emergency doesn't look at it.
 * @throws RekeyError ERR_MODE while it is registering, or an emergency has halted it.
 */
export async function pause(deps: PauseDeps, { credentialId, trigger }: Ref): Promise<PauseAnswer> {
  const changed = await decided(async () => {
    const before = await loadCredential(deps, credentialId);
    assertPausable(before);
    if (before.paused !== undefined) return false;
    const since = toInstant(deps.clock());
    const { actor, reason = '' } = trigger;
    const stops = await stopped(deps, before);
    await deps.ledger.commit({
      before,
      after: { ...before, paused: { since, actor, reason } },
      records: [draft(deps, before, 'paused', trigger, stops && { rotation: stops.id, phase: stops.phase })],
    });
    return true;
  });
  const credential = await loadCredential(deps, credentialId);
  const rotation = await stopped(deps, credential);
  if (rotation !== undefined) await answerCallback(deps, rotation, 'over');
  return conclude(deps, credentialId, changed);
}

/**
 * Ends a pause. What it has stopped gets a lifecycle anew, which looks at holders and source before it decides anything;
 * the time of the pause doesn't count for its deadline. Where the process dies here, its repetition or the reconciler
 * goes on.
 * @throws RekeyError as `pause`.
 */
export async function unpause(deps: PauseDeps, { credentialId, trigger }: Ref): Promise<PauseAnswer> {
  const changed = await decided(async () => {
    const before = await loadCredential(deps, credentialId);
    assertPausable(before);
    if (before.paused === undefined) return false;
    const { paused, ...after } = before;
    const rotation = await stopped(deps, before);
    await deps.ledger.commit({
      before,
      after,
      ...(rotation === undefined ? {} : { rotation: resumed(deps, rotation, paused.since) }),
      records: [draft(deps, before, 'unpaused', trigger, { pausedSince: paused.since, by: paused.actor })],
    });
    // One that the pause could not end would wait beside the new one.
    if (rotation !== undefined) await answerCallback(deps, rotation, 'over');
    return true;
  });
  const answer = await conclude(deps, credentialId, changed);
  const rotation = await stopped(deps, answer.credential);
  if (rotation !== undefined && rotation.callback === undefined)
    await drive(deps, { credential: answer.credential, rotation });
  return answer;
}

/** An emergency that comes meanwhile is told as one that was there before: decided again, it is what is refused. */
async function decided(run: () => Promise<boolean>): Promise<boolean> {
  try {
    return await untilCommitted(run);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_PREEMPTED')) throw error;
    return untilCommitted(run);
  }
}

async function conclude(deps: PauseDeps, credentialId: string, changed: boolean): Promise<PauseAnswer> {
  const backstop = await deps.alignBackstop(credentialId);
  return { credential: await loadCredential(deps, credentialId), changed, backstop };
}

/** The rotation that a pause stops, if one is under way. */
async function stopped(deps: EngineDeps, { id, activeRotation }: Credential): Promise<Rotation | undefined> {
  const active = activeRotation === undefined ? undefined : await deps.ledger.rotation(id, activeRotation);
  return active !== undefined && isPausable(active) ? active : undefined;
}

function resumed(deps: EngineDeps, rotation: Rotation, pausedAt: string): Rotation {
  const now = deps.clock();
  const { window, holderEvidence } = rotation;
  return {
    ...withoutCallback(rotation),
    // Of holders that nobody has looked at since before the pause nothing is known: the next look may fail.
    ...(holderEvidence === undefined ? {} : { holderEvidence: withoutLooks(holderEvidence) }),
    ...(window === undefined ? {} : { window: withoutPause(window, pausedAt, now) }),
    checkAt: plusSeconds(toInstant(now), deps.timing.stuckAfterSeconds),
    updatedAt: toInstant(now),
  };
}

function assertPausable(credential: Credential): void {
  const { name, status } = credential;
  if (status === 'halted') {
    throw new RekeyError('ERR_MODE', `an emergency of ${name} is under way, which no pause stops`, {
      field: 'status',
      remedy: `\`rekey show ${name}\` has its state; ask again once it has ended`,
    });
  }
  assertActive(credential);
}

function draft(
  deps: EngineDeps,
  { holders, current, activeRotation }: Credential,
  action: 'paused' | 'unpaused',
  trigger: Trigger,
  evidence: object | undefined,
): AuditDraft {
  return {
    action,
    time: toInstant(deps.clock()),
    trigger,
    ...(activeRotation === undefined ? {} : { correlationId: activeRotation }),
    holders: holders.map((holder) => holder.name),
    ...(current === undefined ? {} : { oldFingerprint: current.fingerprint }),
    ...(evidence === undefined ? {} : { evidence }),
  };
}

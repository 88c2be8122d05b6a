import type { AuditAction } from '../domain/audit.ts';
import { toInstant, type Instant } from '../domain/clock.ts';
import {
  INCIDENT_STAGES,
  type Credential,
  type CredentialHandle,
  type Incident,
  type IncidentStage,
} from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { concerned } from '../domain/events.ts';
import type { Holder } from '../domain/holders.ts';
import { advance, isOver, type Rotation, type Trigger } from '../domain/rotation.ts';
import { EVENT } from '../names.ts';
import type { EventPublisher } from '../ports/events.ts';
import type { Snapshots } from '../ports/snapshots.ts';
import type { EngineDeps } from './deps.ts';
import type { Revocation } from './emergency.ts';
import {
  answerCallback,
  answered,
  describeHandle,
  loadCredential,
  unknownCredential,
  untilCommitted,
} from './state.ts';

/** What every state of the emergency machine knows. */
export interface Emergency {
  readonly credentialId: string;
  /** What operators call it: for records and events. */
  readonly incidentId: string;
  /** The machine's execution, by which its own work is recognised. Machines of older versions don't name it. */
  readonly emergencyId?: string;
  readonly reason: string;
  readonly actor: string;
  /** When it was asked for. Machines of older versions don't say it everywhere. */
  readonly startedAt?: Instant;
}

/** What orders to agents need, who may have to hear of it while the ledger is down. */
export type OrderDeps = EngineDeps & {
  readonly events: EventPublisher;
  readonly snapshots: Pick<Snapshots, 'read'>;
};

/** How long an emergency waits for the ledger where something else must not wait for it (ms). */
export const LEDGER_PATIENCE_MS = 500;

function keyOf({ emergencyId, incidentId }: Emergency): string {
  return emergencyId ?? incidentId;
}

/** Whether this emergency holds the credential, which it does from its intent until another's. */
export function holds(emergency: Emergency, { incident }: Pick<Credential, 'incident'>): boolean {
  return incident !== undefined && (incident.execution ?? incident.id) === keyOf(emergency);
}

/**
 * Whether the incident that holds the credential began after `revocation` had read it: what this emergency was to kill
 * is then the other's to kill, and what lives now is the other's replacement. Without a revocation to go by (it has
 * failed, or a late attempt of it has only begun) it is whether the other began after this one was asked for.
 */
export function isLater(emergency: Emergency, credential: Credential, revocation?: Revocation): boolean {
  const { incident } = credential;
  if (incident === undefined || emergency.emergencyId === undefined) return false;
  if (revocation === undefined) {
    const { startedAt } = emergency;
    const known = startedAt !== undefined && incident.began !== undefined;
    return known && !holds(emergency, credential) && incident.began > startedAt;
  }
  if (revocation.intent === 'ledger') return true;
  if (revocation.source === 'ledger') return incident.generation >= revocation.generation;
  // A snapshot's generation may be an old one.
  return incident.began !== undefined && incident.began > revocation.revokedAt;
}

/** Whether the incident has reached `stage` already. */
export function reached(incident: Incident, stage: IncidentStage): boolean {
  return INCIDENT_STAGES.indexOf(incident.stage) >= INCIDENT_STAGES.indexOf(stage);
}

export function emergencyTrigger({ actor, reason }: Emergency): Trigger {
  return { kind: 'emergency', actor, reason };
}

/**
 * Records the intent and takes the credential over: the epoch rises, so that every write of a rotation under way fails
 * its fence; that rotation is tombstoned and preempted. Idempotent by the execution. What `isLeft` to a later incident
 * stays as it is; `isWanted` ends the attempts of one that nobody waits for any more.
 */
export async function intend(
  deps: EngineDeps,
  emergency: Emergency,
  { isLeft, isWanted }: { isLeft?: (found: Credential) => boolean; isWanted?: () => boolean } = {},
): Promise<Credential> {
  let preempted: Rotation | undefined;
  const credential = await retrying(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    preempted = undefined;
    if (before.adoption === 'observed') throw notAdopted(before);
    if (holds(emergency, before)) return before;
    if (isLeft?.(before) === true) return before;
    const active =
      before.activeRotation === undefined
        ? undefined
        : await deps.ledger.rotation(before.id, before.activeRotation);
    preempted = active !== undefined && !isOver(active.phase) ? active : undefined;
    const { activeRotation: _over, ...rest } = before;
    const generation = before.generation + 1;
    const replacement = deps.newId();
    return deps.ledger.commit({
      before,
      after: {
        ...rest,
        status: 'halted',
        epoch: before.epoch + 1,
        generation,
        incident: {
          id: emergency.incidentId,
          execution: keyOf(emergency),
          began: toInstant(deps.clock()),
          actor: emergency.actor,
          reason: emergency.reason,
          stage: 'intended',
          generation,
          replacement,
        },
      },
      ...(preempted === undefined
        ? {}
        : { rotation: answered(advance(preempted, 'preempted', { tombstoned: true })) }),
      records: [
        {
          ...draft(deps, before, emergency, 'emergency-intended', { preempted: preempted?.id }),
          correlationId: replacement,
        },
      ],
    });
  }, isWanted);
  if (preempted !== undefined) await answerCallback(deps, preempted, 'preempted');
  return credential;
}

/** Record: what was revoked, with the evidence. The intent is caught up on where it could not be written in time. */
export async function recordRevocation(
  deps: EngineDeps,
  emergency: Emergency,
  revocation: Revocation,
): Promise<void> {
  const taken = await intend(deps, emergency, { isLeft: (found) => isLater(emergency, found, revocation) });
  const { name, live, incident } = taken;
  if (!holds(emergency, taken)) {
    await note(deps, emergency, 'emergency-revoked', { revocation, supersededBy: incident?.execution });
    throw supersededError(emergency, name);
  }
  const escaped = live.find((handle) => !covers(revocation, handle));
  if (escaped !== undefined && incident !== undefined && !reached(incident, 'revoked')) {
    throw new RekeyError('ERR_UNAVAILABLE', `${describeHandle(escaped)} came to life during the revocation`, {
      remedy: `start the emergency again for the same incident: rekey revoke ${name}`,
    });
  }
  await enter(deps, emergency, 'revoked', 'emergency-revoked', {
    credential: { live: [] },
    ...(revocation.handles.length === 0
      ? { evidence: { revocation, found: 'nothing was live' } }
      : { evidence: { revocation }, deactivation: 'CONFIRMED' }),
  });
}

/** Whether `revocation` has ended `handle`. */
function covers(revocation: Revocation, handle: CredentialHandle): boolean {
  return (
    handle.generation <= revocation.generation &&
    revocation.handles.some(({ handle: dead }) => dead.startsWith(`${handle.id}#`))
  );
}

/**
 * A revocation that failed for good is recorded and published; agents are told to halt all the same, before the ledger,
 * as in `halt`. Where a later emergency holds the credential, everything that lived is that one's to kill, and what it
 * has replaced is not halted again: the failure only joins the record, late (hard decision 3).
 */
export async function recordFailedRevocation(
  deps: OrderDeps,
  emergency: Emergency,
  cause: string,
): Promise<void> {
  const { credentialId } = emergency;
  const reading = deps.ledger.credential(credentialId).then((found) => found ?? ('gone' as const));
  const copy = inTime(deps.snapshots.read(credentialId), LEDGER_PATIENCE_MS);
  const seen = await inTime(reading, LEDGER_PATIENCE_MS);
  // What was unregistered meanwhile works on, and nothing would ever tell its agents to resume.
  if (seen === 'gone') throw unknownCredential(credentialId);
  if (seen === undefined || !isLater(emergency, seen))
    await tell(deps, EVENT.halt, emergency, (seen ?? (await copy))?.holders);
  const now = seen ?? (await loadCredential(deps, emergency.credentialId));
  if (now.adoption === 'observed') {
    // Nothing is taken over: an emergency holds what is Rekey's own.
    return note(deps, emergency, 'emergency-revocation-failed', { cause, byHand: now.byHand });
  }
  const taken = await intend(deps, emergency, { isLeft: (found) => isLater(emergency, found) });
  const supersededBy = holds(emergency, taken) ? undefined : taken.incident?.execution;
  await note(deps, emergency, 'emergency-revocation-failed', { cause, supersededBy });
}

/**
 * Halt: tells the agents before the ledger, since the bus may be up where the ledger isn't. Only where the ledger says
 * at once that a later emergency holds the credential are they left alone. `unrecorded` is what Record could not write.
 * Whom it concerns is read beside the ledger, from the copy of the head; where both are silent everybody is told.
 */
export async function halt(deps: OrderDeps, emergency: Emergency, unrecorded?: Revocation): Promise<void> {
  const copy = inTime(deps.snapshots.read(emergency.credentialId), LEDGER_PATIENCE_MS);
  const seen = await inTime(loadCredential(deps, emergency.credentialId), LEDGER_PATIENCE_MS);
  if (seen !== undefined && emergency.emergencyId !== undefined && !holds(emergency, seen)) {
    if (unrecorded === undefined || isLater(emergency, seen, unrecorded)) {
      throw supersededError(emergency, seen.name);
    }
  }
  await tell(deps, EVENT.halt, emergency, (seen ?? (await copy))?.holders);
  const credential = await loadCredential(deps, emergency.credentialId);
  const { incident } = credential;
  // Where the revocation could not be recorded, that is still to be done: the incident stays at its stage.
  const begun = holds(emergency, credential);
  if (incident !== undefined && begun ? !reached(incident, 'revoked') : unrecorded !== undefined)
    await note(deps, emergency, 'agents-halted', { recorded: false });
  else await enter(deps, emergency, 'halted', 'agents-halted', {});
}

/** Resume: agents may work again, with the replacement. */
export async function resume(
  deps: EngineDeps & { readonly events: EventPublisher },
  emergency: Emergency,
): Promise<void> {
  await enter(deps, emergency, 'resumed', 'agents-resumed', {});
  const { holders } = await loadCredential(deps, emergency.credentialId);
  await tell(deps, EVENT.resume, emergency, holders);
}

/**
 * How a credential stands for an emergency that a later one has superseded: `superseded` once the later one has replaced
 * it, `halted` until then, which is as far as this emergency has come itself.
 */
export async function superseded(
  deps: EngineDeps,
  emergency: Emergency,
): Promise<{ status: 'superseded' | 'halted' }> {
  const credential = await loadCredential(deps, emergency.credentialId);
  const { incident } = credential;
  const replaced = incident !== undefined && !holds(emergency, credential) && reached(incident, 'replaced');
  return { status: replaced ? 'superseded' : 'halted' };
}

/**
 * What is only observed carries no mark of Rekey, and its login may serve others: Rekey doesn't revoke it. Said as a
 * failure, with what a person has to do, never passed over.
 */
export function notAdopted({ name, byHand }: Pick<Credential, 'name' | 'byHand'>): RekeyError {
  return new RekeyError('ERR_ADOPTION', `${name} is only observed: Rekey has not revoked it`, {
    field: 'credentials',
    remedy: `revoke it by hand, now: ${byHand ?? 'end the login that its secret names, at its upstream'}`,
  });
}

function supersededError({ incidentId }: Emergency, name: string): RekeyError {
  return new RekeyError('ERR_PREEMPTED', `a later emergency than that of ${incidentId} holds ${name}`);
}

/** A replacement that failed leaves the agents halted; the machine fails, which pages. */
export function recordFailedReplacement(
  deps: EngineDeps,
  emergency: Emergency,
  failure: { step: string; cause: string },
): Promise<void> {
  return note(deps, emergency, 'replacement-failed', failure);
}

/** Brings the incident to `stage` with its record; a stage that was reached before is left alone. */
export function enter(
  deps: EngineDeps,
  emergency: Emergency,
  stage: IncidentStage,
  action: AuditAction,
  change: {
    credential?: Partial<Credential>;
    rotation?: Rotation;
    evidence?: object;
    deactivation?: 'CONFIRMED';
    newFingerprint?: string;
    newHandle?: string;
  },
): Promise<void> {
  return untilCommitted(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    const incident = own(before, emergency);
    if (reached(incident, stage)) return;
    const { credential, rotation, evidence, ...fields } = change;
    const { activeRotation, ...idle } = before;
    const ended = rotation !== undefined && isOver(rotation.phase) && rotation.id === activeRotation;
    await deps.ledger.commit({
      before,
      after: { ...(ended ? idle : before), ...credential, incident: { ...incident, stage } },
      ...(rotation === undefined ? {} : { rotation }),
      records: [{ ...draft(deps, before, emergency, action, evidence ?? {}), ...fields }],
    });
  });
}

/** The credential's incident, if it is this one; ERR_PREEMPTED where a later one has taken over. */
export function own(credential: Credential, emergency: Emergency): Incident {
  if (credential.incident !== undefined && holds(emergency, credential)) return credential.incident;
  throw new RekeyError(
    'ERR_PREEMPTED',
    `the emergency of ${emergency.incidentId} is not the one that holds ${credential.name}`,
  );
}

async function note(
  deps: EngineDeps,
  emergency: Emergency,
  action: AuditAction,
  evidence: object,
): Promise<void> {
  await retrying(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    await deps.ledger.commit({
      before,
      after: before,
      records: [draft(deps, before, emergency, action, evidence)],
    });
  });
}

function draft(
  deps: EngineDeps,
  credential: Credential,
  emergency: Emergency,
  action: AuditAction,
  evidence: object,
) {
  const { current } = credential;
  return {
    action,
    time: toInstant(deps.clock()),
    trigger: emergencyTrigger(emergency),
    correlationId:
      (holds(emergency, credential) ? credential.incident?.replacement : undefined) ?? keyOf(emergency),
    incidentId: emergency.incidentId,
    holders: credential.holders.map((holder) => holder.name),
    ...(current === undefined
      ? {}
      : { oldFingerprint: current.fingerprint, oldHandle: describeHandle(current.handle) }),
    evidence,
  };
}

function tell(
  deps: Pick<OrderDeps, 'events' | 'clock'>,
  detailType: string,
  emergency: Emergency,
  holders: readonly Holder[] = [],
): Promise<void> {
  const { credentialId, incidentId, reason } = emergency;
  return deps.events.publish(detailType, {
    id: `${keyOf(emergency)}-${credentialId}-${detailType === EVENT.halt ? 'halt' : 'resume'}`,
    time: toInstant(deps.clock()),
    credentialId,
    incidentId,
    reason,
    ...concerned(holders),
  });
}

/** A rotation under way commits too: the emergency reads again until it is first, whatever the others do. */
export async function retrying<T>(run: () => Promise<T>, isWanted = (): boolean => true): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= 20 || !isWanted() || !isRekeyError(error, 'ERR_CONFLICT', 'ERR_PREEMPTED')) throw error;
    }
  }
}

/** What `work` gives if it is done within its time. Its failure is not ours: the next state records what is missing. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), after(ms).then(() => undefined)]);
}

export function after(ms: number): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, 'late').unref();
  });
}

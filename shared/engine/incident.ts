import type { AuditAction } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import {
  INCIDENT_STAGES,
  type Credential,
  type CredentialHandle,
  type Incident,
  type IncidentStage,
} from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { advance, isOver, type Rotation, type Trigger } from '../domain/rotation.ts';
import { EVENT } from '../names.ts';
import type { EventPublisher } from '../ports/events.ts';
import type { EngineDeps } from './deps.ts';
import type { Revocation } from './emergency.ts';
import { answerCallback, answered, describeHandle, loadCredential, untilCommitted } from './state.ts';

/** What every state of the emergency machine knows. */
export interface Emergency {
  readonly credentialId: string;
  readonly incidentId: string;
  readonly reason: string;
  readonly actor: string;
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
 * its fence; that rotation is tombstoned and preempted. Idempotent by the incident.
 */
export async function intend(deps: EngineDeps, emergency: Emergency): Promise<Credential> {
  let preempted: Rotation | undefined;
  const credential = await retrying(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    if (before.incident?.id === emergency.incidentId) return before;
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
        incident: { id: emergency.incidentId, stage: 'intended', generation, replacement },
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
  });
  if (preempted !== undefined) await answerCallback(deps, preempted, 'preempted');
  return credential;
}

/** Record: what was revoked, with the evidence. The intent is caught up on where it could not be written in time. */
export async function recordRevocation(
  deps: EngineDeps,
  emergency: Emergency,
  revocation: Revocation,
): Promise<void> {
  const { name, live, incident } = await intend(deps, emergency);
  const escaped = live.find((handle) => !covers(revocation, handle));
  if (escaped !== undefined && incident !== undefined && !reached(incident, 'revoked')) {
    throw new RekeyError('ERR_UNAVAILABLE', `${describeHandle(escaped)} came to life during the revocation`, {
      remedy: `start the emergency again for the same incident: rekey revoke ${name}`,
    });
  }
  await enter(deps, emergency, 'revoked', 'emergency-revoked', {
    credential: { live: [] },
    evidence: { revocation },
    deactivation: 'CONFIRMED',
  });
}

/** Whether `revocation` has ended `handle`. */
function covers(revocation: Revocation, handle: CredentialHandle): boolean {
  return (
    handle.generation <= revocation.generation &&
    revocation.handles.some(({ handle: dead }) => dead.startsWith(`${handle.id}#`))
  );
}

/** A revocation that failed for good is recorded and published; agents are told to halt all the same. */
export async function recordFailedRevocation(
  deps: EngineDeps & { readonly events: EventPublisher },
  emergency: Emergency,
  cause: string,
): Promise<void> {
  await tell(deps, EVENT.halt, emergency);
  await intend(deps, emergency);
  await note(deps, emergency, 'emergency-revocation-failed', { cause });
}

/** Halt: tells the agents first, since the bus may be up where the ledger isn't. */
export async function halt(
  deps: EngineDeps & { readonly events: EventPublisher },
  emergency: Emergency,
): Promise<void> {
  await tell(deps, EVENT.halt, emergency);
  const { incident } = await loadCredential(deps, emergency.credentialId);
  // Where the revocation could not be recorded, that is still to be done: the incident stays at its stage.
  const unrecorded = incident?.id === emergency.incidentId && !reached(incident, 'revoked');
  if (unrecorded) await note(deps, emergency, 'agents-halted', { recorded: false });
  else await enter(deps, emergency, 'halted', 'agents-halted', {});
}

/** Resume: agents may work again, with the replacement. */
export async function resume(
  deps: EngineDeps & { readonly events: EventPublisher },
  emergency: Emergency,
): Promise<void> {
  await enter(deps, emergency, 'resumed', 'agents-resumed', {});
  await tell(deps, EVENT.resume, emergency);
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
export function own(credential: Credential, { incidentId }: Emergency): Incident {
  if (credential.incident?.id === incidentId) return credential.incident;
  throw new RekeyError(
    'ERR_PREEMPTED',
    `incident ${incidentId} is not the one that holds ${credential.name}`,
  );
}

async function note(
  deps: EngineDeps,
  emergency: Emergency,
  action: AuditAction,
  evidence: object,
): Promise<void> {
  await untilCommitted(async () => {
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
    correlationId: credential.incident?.replacement ?? emergency.incidentId,
    incidentId: emergency.incidentId,
    holders: credential.holders.map((holder) => holder.name),
    ...(current === undefined
      ? {}
      : { oldFingerprint: current.fingerprint, oldHandle: describeHandle(current.handle) }),
    evidence,
  };
}

function tell(
  deps: EngineDeps & { readonly events: EventPublisher },
  detailType: string,
  { credentialId, incidentId, reason }: Emergency,
): Promise<void> {
  return deps.events.publish(detailType, {
    id: `${incidentId}-${credentialId}-${detailType === EVENT.halt ? 'halt' : 'resume'}`,
    time: toInstant(deps.clock()),
    credentialId,
    incidentId,
    reason,
  });
}

/** A rotation under way commits too: the emergency reads again until it is first, whatever the others do. */
async function retrying<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= 20 || !isRekeyError(error, 'ERR_CONFLICT', 'ERR_PREEMPTED')) throw error;
    }
  }
}

import type { AuditAction } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, IncidentStage } from '../domain/credential.ts';
import { advance, isOver, type Rotation } from '../domain/rotation.ts';
import type { Notice } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { emergencyTrigger, holds, keyOf, notAdopted, own, reached, type Emergency } from './incident.ts';
import { endangered } from './outlook.ts';
import { retrying } from './patience.ts';
import { answerCallback, answered, describeHandle, loadCredential, untilCommitted } from './state.ts';

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
    const { activeRotation: _over, suspended: _final, ...rest } = before;
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
          // An earlier one died over these: it is not on record that they are dead.
          ...(before.incident?.late === undefined ? {} : { late: before.incident.late }),
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
    outlook?: readonly Notice[];
  },
): Promise<void> {
  return untilCommitted(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    const incident = own(before, emergency);
    if (reached(incident, stage)) return;
    const { credential, rotation, evidence, outlook = [], ...fields } = change;
    const { activeRotation, ...idle } = before;
    const about = draft(deps, before, emergency, action, evidence ?? {});
    const ended = rotation !== undefined && isOver(rotation.phase) && rotation.id === activeRotation;
    await deps.ledger.commit({
      before,
      after: { ...(ended ? idle : before), ...credential, incident: { ...incident, stage } },
      ...(rotation === undefined ? {} : { rotation }),
      records: [{ ...about, ...fields }, ...endangered(outlook, about)],
    });
  });
}

/** A record that changes nothing else; whatever holds the credential. */
export async function note(
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

/** A record of an emergency, in the words of the credential that it is about. */
export function draft(
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

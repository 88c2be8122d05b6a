import type { Instant } from '../domain/clock.ts';
import { INCIDENT_STAGES, type Credential, type Incident, type IncidentStage } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Trigger } from '../domain/rotation.ts';
import type { Revocation } from '../domain/evidence.ts';

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

/** By what an emergency is recognised: its execution, which older machines don't name. */
export function keyOf({ emergencyId, incidentId }: Emergency): string {
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

/** The credential's incident, if it is this one; ERR_PREEMPTED where a later one has taken over. */
export function own(credential: Credential, emergency: Emergency): Incident {
  if (credential.incident !== undefined && holds(emergency, credential)) return credential.incident;
  throw new RekeyError(
    'ERR_PREEMPTED',
    `the emergency of ${emergency.incidentId} is not the one that holds ${credential.name}`,
  );
}

/** Who asked for it, for the records of rotation and credential. */
export function emergencyTrigger({ actor, reason }: Emergency): Trigger {
  return { kind: 'emergency', actor, reason };
}

/** The end of an emergency that another has taken the credential over from. */
export function supersededError({ incidentId }: Emergency, name: string): RekeyError {
  return new RekeyError('ERR_PREEMPTED', `a later emergency than that of ${incidentId} holds ${name}`);
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

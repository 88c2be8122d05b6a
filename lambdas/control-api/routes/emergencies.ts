import {
  emergencyRequest,
  type EmergencyAnswer,
  type EmergencyStarted,
} from '../../../shared/api/messages.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { inTime } from '../../../shared/engine/patience.ts';
import type { EmergencyInput } from '../../../shared/ports/workflow.ts';
import { LEDGER_LIMIT_MS, resolveForEmergency } from '../emergency.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function startEmergency(call: Call, services: ControlServices): Promise<Done<EmergencyStarted>> {
  const { credentials, incident, reason, replace } = parse(emergencyRequest, call.body());
  const found = await resolveForEmergency(services.ledger, credentials);
  const { id } = await services.startEmergency({
    credentials: await Promise.all(found.credentials.map((each) => typed(each, services))),
    incidentId: incident,
    reason,
    actor: call.actor,
    replace,
    token: call.token,
  });
  const ids = found.credentials.map(({ credentialId }) => credentialId);
  return { status: 202, body: { id, credentials: ids, unresolved: found.unresolved } };
}

/** Where the ledger is silent, the credential's snapshot tells its type. */
async function typed(
  { credentialId, type }: EmergencyInput['credentials'][number],
  { diagnosis }: ControlServices,
): Promise<EmergencyInput['credentials'][number]> {
  if (type !== undefined) return { credentialId, type };
  const seen = await inTime(diagnosis.snapshot(credentialId), LEDGER_LIMIT_MS);
  const known = seen !== undefined && 'value' in seen ? seen.value?.type : undefined;
  return { credentialId, ...(known === undefined ? {} : { type: known }) };
}

export async function showEmergency(
  { params: [id = ''] }: Call,
  services: ControlServices,
): Promise<Done<EmergencyAnswer>> {
  const found = await services.emergency(id);
  if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', `no emergency "${id}"`);
  const { status, startedAt, endedAt, results } = found;
  const known = Array.isArray(results)
    ? results.filter((result) => typeof result === 'object' && result !== null)
    : [];
  return {
    status: 200,
    body: { id, status, startedAt, ...(endedAt === undefined ? {} : { endedAt }), results: known },
  };
}

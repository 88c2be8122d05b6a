import {
  emergencyRequest,
  type EmergencyAnswer,
  type EmergencyStarted,
} from '../../../shared/api/messages.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { resolveForEmergency } from '../emergency.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function startEmergency(call: Call, services: ControlServices): Promise<Done<EmergencyStarted>> {
  const { credentials, incident, reason, replace } = parse(emergencyRequest, call.body());
  const { ids, unresolved } = await resolveForEmergency(services.ledger, credentials);
  const { id } = await services.startEmergency({
    credentialIds: ids,
    incidentId: incident,
    reason,
    actor: call.actor,
    replace,
    token: call.token,
  });
  return { status: 202, body: { id, credentials: ids, unresolved } };
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

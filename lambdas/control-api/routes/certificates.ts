import {
  certificateRevocation,
  serialNumber,
  type CertificateRevoked,
} from '../../../shared/api/messages.ts';
import { parse, type Call } from '../../http/request.ts';
import { triggerOf } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';

export async function revokeCertificate(
  call: Call,
  services: ControlServices,
): Promise<Done<CertificateRevoked>> {
  const { incident, reason, dryRun } = parse(certificateRevocation, call.body());
  const [name = '', given = ''] = call.params;
  const revoked = await services.revokeCertificate({
    name,
    serial: parse(serialNumber, given),
    incidentId: incident,
    trigger: triggerOf(call.actor, reason),
    dryRun,
  });
  return { status: 200, body: { dryRun, ...revoked } };
}

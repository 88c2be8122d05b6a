import { auditQuery, type AuditAnswer } from '../../../shared/api/messages.ts';
import { readAudit } from '../audit.ts';
import { findEver } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function audit(call: Call, { ledger, clock }: ControlServices): Promise<Done<AuditAnswer>> {
  const query = parse(auditQuery, call.query);
  return { status: 200, body: await readAudit(ledger, query, clock(), (name) => findEver(ledger, name)) };
}

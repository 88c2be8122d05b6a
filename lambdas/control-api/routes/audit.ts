import { auditQuery, type AuditAnswer } from '../../../shared/api/messages.ts';
import { readAudit } from '../audit.ts';
import { readFamilyAudit } from '../family-audit.ts';
import { familyEver, findEver } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function audit(
  call: Call,
  { ledger, families, clock }: ControlServices,
): Promise<Done<AuditAnswer>> {
  const query = parse(auditQuery, call.query);
  const family = query.credential === undefined ? undefined : await familyEver(families, query.credential);
  if (family !== undefined) {
    return { status: 200, body: await readFamilyAudit(families, family, query, clock()) };
  }
  const find = (name: string) => findEver(ledger, name);
  return { status: 200, body: await readAudit(ledger, families, query, clock(), find) };
}

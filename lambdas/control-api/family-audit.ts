import type { z } from 'zod';
import { auditPage, joinAudit } from '../../shared/api/audit-answer.ts';
import { excerpt, headOf, SKEW_MS, spanOf } from '../../shared/api/audit-span.ts';
import type { AuditAnswer, auditQuery } from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import type { Family } from '../../shared/domain/families.ts';
import type { FamilyReads } from '../../shared/ports/families.ts';
import { badQuery, daysOf } from './audit.ts';

/** About a year of hourly refreshes; what is read fits into memory, and into the time of an answer. */
const MOST_RECORDS = 20_000;

/** Answers `GET /v1/audit` for one token family, which no index of months has: from its own chain, back to the span's start. */
export async function readFamilyAudit(
  families: FamilyReads,
  family: Family,
  query: z.infer<typeof auditQuery>,
  now: number,
): Promise<AuditAnswer> {
  const { from, to } = daysOf(query, now);
  if (from > to)
    throw badQuery('from', 'the span ends before it begins', 'give a `from` not later than `to`');
  const span = spanOf(from, to);
  const read: AuditRecord[] = [];
  for await (const record of families.records(family.id)) {
    if (record.time < span.start - SKEW_MS) break;
    if (read.length === MOST_RECORDS) {
      throw badQuery(
        'from',
        `${family.name} has more than ${MOST_RECORDS} records since ${from}`,
        'give a later `from`; the archive has all of them (docs/architecture.md)',
      );
    }
    read.push(record);
  }
  const { records, after, end } = excerpt(read, span, headOf(family));
  return joinAudit([auditPage({ from, to, records, after, heads: end === undefined ? [] : [end] })]);
}

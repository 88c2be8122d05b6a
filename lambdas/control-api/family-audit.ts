import type { z } from 'zod';
import { auditPage, joinAudit } from '../../shared/api/audit-answer.ts';
import { excerpt, headOf, isWithin, SKEW_MS, spanOf, type Span } from '../../shared/api/audit-span.ts';
import type { AuditAnswer, auditQuery } from '../../shared/api/messages.ts';
import { isRoutine, type AuditRecord } from '../../shared/domain/audit.ts';
import { fromInstant } from '../../shared/domain/clock.ts';
import type { Family } from '../../shared/domain/families.ts';
import type { FamilyReads } from '../../shared/ports/families.ts';
import { badQuery, daysOf } from './audit-days.ts';

/** About a year of hourly refreshes; what is read fits into memory, and into the time of an answer. */
export const MOST_RECORDS = 20_000;

/** Answers `GET /v1/audit` for one token family, whose chain no index has whole: from there, back to the span's start. */
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

/** The records that an index has told of families, with those of the last moments, which it may not have yet. */
export async function recentOfFamilies(
  families: FamilyReads,
  {
    span,
    since,
    known,
  }: { readonly span: Span; readonly since: number; readonly known: readonly AuditRecord[] },
): Promise<AuditRecord[]> {
  if (span.end <= since) return [...known];
  const keyOf = ({ entity, metadata }: AuditRecord): string => `${entity.uid} ${metadata.sequence}`;
  const found = new Map(known.map((record) => [keyOf(record), record]));
  let page: string | undefined;
  do {
    const { items, next } = await families.families(page);
    for (const { id, updatedAt } of items) {
      if (fromInstant(updatedAt) < since) continue;
      for await (const record of families.records(id)) {
        if (record.time < since - SKEW_MS) break;
        if (isWithin(span, record) && !isRoutine(record)) found.set(keyOf(record), record);
      }
    }
    page = next;
  } while (page !== undefined);
  return [...found.values()];
}

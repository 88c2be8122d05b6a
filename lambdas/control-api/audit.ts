import type { z } from 'zod';
import { auditPage, headOf, joinAudit, spanOf } from '../../shared/api/audit-answer.ts';
import type { AuditAnswer, auditQuery } from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { fromInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

/** A page ends with the month in which it passes this, well before an answer of Lambda's 6 MB. */
const RECORDS_PER_PAGE = 5000;

const MAX_MONTHS = 120;

/** The month index trails the table by moments: what changed this recently is read from the table itself. */
const INDEX_LAG_MS = 60_000;

const READS_AT_ONCE = 20;

/** Answers `GET /v1/audit` from the ledger, one page. */
export async function readAudit(
  ledger: Ledger,
  query: z.infer<typeof auditQuery>,
  now: number,
  find: (nameOrId: string) => Promise<Credential | undefined>,
): Promise<AuditAnswer> {
  const to = query.to ?? new Date(now).toISOString().slice(0, 10);
  const from = query.from ?? yearBefore(to);
  const months = monthsBetween(from, to);
  if (query.credential !== undefined) return ofCredential(ledger, query.credential, { from, to }, find);

  const first = query.page === undefined ? 0 : months.indexOf(query.page);
  if (first < 0)
    throw badQuery('page', 'the page lies outside the span', 'pass from, to and page of one answer');
  const inSpan = within(from, to);
  const heads = await allHeads(ledger);
  let records: AuditRecord[] = [];
  let next = first;
  while (next < months.length && (next === first || records.length < RECORDS_PER_PAGE)) {
    for await (const record of ledger.recordsOfMonth(months[next] ?? ''))
      if (inSpan(record)) records.push(record);
    next++;
  }
  const last = next >= months.length;
  if (last) {
    const here = new Set(months.slice(first, next));
    records = await refreshed(
      ledger,
      records,
      heads,
      now,
      (record) => inSpan(record) && here.has(monthOf(record)),
    );
  }
  const page = auditPage({
    from,
    to,
    records,
    ...(last ? { heads: heads.map(headOf) } : { next: months[next] ?? '' }),
  });
  return first === 0 && last ? joinAudit([page]) : page;
}

async function ofCredential(
  ledger: Ledger,
  name: string,
  { from, to }: { from: string; to: string },
  find: (nameOrId: string) => Promise<Credential | undefined>,
): Promise<AuditAnswer> {
  const credential = await find(name);
  // The trail outlives its credential: by its id it can still be read.
  const all = await collect(ledger.records(credential?.id ?? name));
  if (credential === undefined && all.length === 0) {
    throw new RekeyError('ERR_NOT_FOUND', `no credential "${name}"`, {
      field: 'credential',
      remedy: '`rekey list` names them all',
    });
  }
  const heads = credential === undefined ? [] : [headOf(credential)];
  return joinAudit([auditPage({ from, to, records: all.filter(within(from, to)), heads })]);
}

async function allHeads(ledger: Ledger): Promise<Credential[]> {
  const heads: Credential[] = [];
  let page: string | undefined;
  do {
    const { items, next } = await ledger.list(page);
    heads.push(...items);
    page = next;
  } while (page !== undefined);
  return heads;
}

/** The records with those of every credential that has just changed replaced by what the table itself holds. */
async function refreshed(
  ledger: Ledger,
  records: readonly AuditRecord[],
  heads: readonly Credential[],
  now: number,
  belongs: (record: AuditRecord) => boolean,
): Promise<AuditRecord[]> {
  const recent = new Set([
    ...heads.filter(({ updatedAt }) => now - fromInstant(updatedAt) < INDEX_LAG_MS).map(({ id }) => id),
    ...records.filter(({ time }) => now - time < INDEX_LAG_MS).map(({ entity }) => entity.uid),
  ]);
  const fresh: AuditRecord[] = [];
  const waiting = [...recent];
  const read = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      fresh.push(...(await collect(ledger.records(id))).filter(belongs));
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, read));
  return [...records.filter(({ entity }) => !recent.has(entity.uid)), ...fresh];
}

async function collect(records: AsyncIterable<AuditRecord>): Promise<AuditRecord[]> {
  const all: AuditRecord[] = [];
  for await (const record of records) all.push(record);
  return all;
}

function within(from: string, to: string): (record: AuditRecord) => boolean {
  const { start, end } = spanOf(from, to);
  return ({ time }) => time >= start && time < end;
}

function monthOf({ time_dt: time }: AuditRecord): string {
  return time.slice(0, 7);
}

/** The same day a year earlier; 29 February becomes 1 March. */
function yearBefore(day: string): string {
  const date = new Date(`${day}T00:00:00.000Z`);
  date.setUTCFullYear(date.getUTCFullYear() - 1);
  return date.toISOString().slice(0, 10);
}

function monthsBetween(from: string, to: string): string[] {
  if (from > to)
    throw badQuery('from', 'the span ends before it begins', 'give a `from` not later than `to`');
  const months: string[] = [];
  const cursor = new Date(`${from.slice(0, 7)}-01T00:00:00.000Z`);
  while (cursor.toISOString().slice(0, 7) <= to.slice(0, 7)) {
    if (months.length === MAX_MONTHS) {
      throw badQuery('from', `the span is longer than ${MAX_MONTHS} months`, 'ask for it in parts');
    }
    months.push(cursor.toISOString().slice(0, 7));
    cursor.setUTCMonth(cursor.getUTCMonth() + 1);
  }
  return months;
}

function badQuery(field: string, message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_REQUEST', message, { field, remedy });
}

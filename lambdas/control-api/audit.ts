import type { z } from 'zod';
import { auditPage, joinAudit } from '../../shared/api/audit-answer.ts';
import {
  excerpt,
  headOf,
  isWithin,
  SKEW_MS,
  spanOf,
  type ChainEnd,
  type Excerpt,
  type Span,
} from '../../shared/api/audit-span.ts';
import type { AuditAnswer, auditQuery } from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { fromInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { FamilyReads } from '../../shared/ports/families.ts';
import { badQuery, daysOf } from './audit-days.ts';
import { recentOfFamilies } from './family-audit.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { eachOf } from '../../shared/engine/each.ts';
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
  families: FamilyReads,
  query: z.infer<typeof auditQuery>,
  now: number,
  find: (nameOrId: string) => Promise<Credential | undefined>,
): Promise<AuditAnswer> {
  const { from, to } = daysOf(query, now);
  const months = monthsBetween(from, to);
  if (query.credential !== undefined) return ofCredential(ledger, query.credential, { from, to }, find);

  const first = query.page === undefined ? 0 : months.indexOf(query.page);
  if (first < 0)
    throw badQuery('page', 'the page lies outside the span', 'pass from, to and page of one answer');
  const span = spanOf(from, to);
  const registered = await allHeads(ledger);
  const records: AuditRecord[] = [];
  const ofFamilies: AuditRecord[] = [];
  let next = first;
  const count = (): number => records.length + ofFamilies.length;
  while (next < months.length && (next === first || count() < RECORDS_PER_PAGE)) {
    const month = months[next] ?? '';
    for await (const record of ledger.recordsOfMonth(month)) if (isWithin(span, record)) records.push(record);
    for await (const record of families.recordsOfMonth(month))
      if (isWithin(span, record)) ofFamilies.push(record);
    next++;
  }
  const page = { isFirst: first === 0, isLast: next >= months.length, months: months.slice(first, next) };
  const left = await unregisteredHeads(ledger, records, registered);
  const heads = [...registered, ...left];
  const chosen = new Set([
    ...justChanged(records, page.isLast ? heads : left, now),
    ...atTheEdges(records, heads, span, page),
    ...(span.end <= now ? unfinished({ from, to, records }) : []),
  ]);
  const read = await byNumber(ledger, chosen, heads, span);
  const answer = auditPage({
    from,
    to,
    records: [
      ...records.filter(({ entity }) => !chosen.has(entity.uid)),
      ...read.flatMap((each) => each.records).filter((record) => belongs(record, span, page)),
    ],
    after: read.flatMap(({ after }) => after),
    heads: ends(page.isLast ? heads : left, read),
    ofFamilies: page.isLast
      ? await recentOfFamilies(families, { span, since: now - INDEX_LAG_MS, known: ofFamilies })
      : ofFamilies,
    ...(page.isLast ? {} : { next: months[next] ?? '' }),
  });
  return page.isFirst && page.isLast ? joinAudit([answer]) : answer;
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
      remedy: '`rekey list` names them all; one that was unregistered is known by its id only',
    });
  }
  const { records, after, end } = excerpt(all, spanOf(from, to), credential && headOf(credential));
  return joinAudit([auditPage({ from, to, records, after, heads: end === undefined ? [] : [end] })]);
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

/** The heads of credentials with these records that are registered no more: no list has them, and nothing moves them. */
async function unregisteredHeads(
  ledger: Ledger,
  records: readonly AuditRecord[],
  registered: readonly Credential[],
): Promise<Credential[]> {
  const known = new Set(registered.map(({ id }) => id));
  const ids = new Set(records.map(({ entity }) => entity.uid).filter((id) => !known.has(id)));
  const heads = await eachOf(ids, READS_AT_ONCE, (id) => ledger.unregistered(id));
  return heads.filter((head) => head !== undefined);
}

/** Which part of a span a page holds. */
interface PagePart {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly months: readonly string[];
}

/** Credentials that have just changed: the month index may not have it all. */
function justChanged(records: readonly AuditRecord[], heads: readonly Credential[], now: number): string[] {
  return [
    ...heads.filter(({ updatedAt }) => now - fromInstant(updatedAt) < INDEX_LAG_MS).map(({ id }) => id),
    ...records.filter(({ time }) => now - time < INDEX_LAG_MS).map(({ entity }) => entity.uid),
  ];
}

/** Credentials whose chain crosses an edge of the span, as far as clocks can be trusted. */
function atTheEdges(
  records: readonly AuditRecord[],
  heads: readonly Credential[],
  { start, end }: Span,
  { isFirst, isLast }: PagePart,
): string[] {
  const near = (time: number): boolean =>
    (isFirst && Math.abs(time - start) < SKEW_MS) || (isLast && Math.abs(time - end) < SKEW_MS);
  return [
    ...heads.filter(({ updatedAt }) => near(fromInstant(updatedAt))).map(({ id }) => id),
    ...records.filter(({ time }) => near(time)).map(({ entity }) => entity.uid),
  ];
}

/** Credentials with a rotation of which these records don't tell the end: later ones may. */
function unfinished(input: Parameters<typeof auditPage>[0]): string[] {
  return joinAudit([auditPage(input)])
    .rotations.filter(({ outcome, deactivation }) => outcome === 'open' || deactivation !== 'CONFIRMED')
    .map(({ credentialId }) => credentialId);
}

/** What the chains of these credentials say about the span, from the table itself. */
async function byNumber(
  ledger: Ledger,
  ids: ReadonlySet<string>,
  heads: readonly Credential[],
  span: Span,
): Promise<Excerpt[]> {
  const headById = new Map(heads.map((head) => [head.id, headOf(head)]));
  return eachOf(ids, READS_AT_ONCE, async (id) =>
    excerpt(await collect(ledger.records(id)), span, headById.get(id)),
  );
}

/** Whether a record of the span stands on this page: by its month, and beyond the edges on the outermost ones. */
function belongs(record: AuditRecord, span: Span, { isFirst, isLast, months }: PagePart): boolean {
  if (isWithin(span, record)) return months.includes(record.time_dt.slice(0, 7));
  return record.time < span.start ? isFirst : isLast;
}

/** Where each chain must end, as the record after says or else the head. */
function ends(heads: readonly Credential[], read: readonly Excerpt[]): ChainEnd[] {
  const told = new Map(
    read.flatMap(({ end }) => (end === undefined ? [] : [[end.credentialId, end] as const])),
  );
  return heads.map((head) => told.get(head.id) ?? headOf(head));
}

async function collect(records: AsyncIterable<AuditRecord>): Promise<AuditRecord[]> {
  const all: AuditRecord[] = [];
  for await (const record of records) all.push(record);
  return all;
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

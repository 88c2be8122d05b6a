import type { AuditRecord } from '../domain/audit.ts';
import { fromInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { AuditRest } from './messages.ts';

/** The end of a credential's chain, as the ledger or the record after it knows it. */
export type ChainEnd = NonNullable<AuditRest['heads']>[number];

const DAY_MS = 86_400_000;

/**
 * How far the clocks of two writers may be apart: AWS refuses a request that was signed more than five minutes off its
 * own time, so neither is further off than that.
 */
export const SKEW_MS = 600_000;

/** From the first instant of a span of days to the first one after it, in epoch milliseconds. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function spanOf(from: string, to: string): Span {
  return { start: fromInstant(`${from}T00:00:00.000Z`), end: fromInstant(`${to}T00:00:00.000Z`) + DAY_MS };
}

export function isWithin({ start, end }: Span, { time }: AuditRecord): boolean {
  return time >= start && time < end;
}

/** The end of a chain now, of a credential or a token family. */
export function headOf({
  id,
  seq,
  chain,
  registeredAt,
  updatedAt,
}: Pick<Credential, 'id' | 'seq' | 'chain' | 'registeredAt' | 'updatedAt'>): ChainEnd {
  return { credentialId: id, seq, chain, registeredAt, updatedAt };
}

/** What a whole chain has to say about a span. */
export interface Excerpt {
  /** Its records of the span. */
  readonly records: readonly AuditRecord[];
  /** What came later: it tells how rotations of the span ended. */
  readonly after: readonly AuditRecord[];
  /** Where the chain of the span must end. */
  readonly end?: ChainEnd;
}

/**
 * Takes a span out of a whole chain. Times say where it begins and ends; what belongs to it is then a matter of numbers,
 * since the clocks of two functions may disagree about a record at the edge. Where the chain goes on, the next record
 * vouches for the end: it has the number after it and the hash before.
 */
export function excerpt(chain: readonly AuditRecord[], span: Span, head?: ChainEnd): Excerpt {
  const numbers = chain.filter((record) => isWithin(span, record)).map(numberOf);
  if (numbers.length === 0) return { records: [], after: [], ...(head === undefined ? {} : { end: head }) };
  const first = Math.min(...numbers);
  const ended = head !== undefined && fromInstant(head.updatedAt) < span.end;
  const last = Math.max(...numbers, ended ? head.seq : 0);
  const sorted = [...chain].sort((a, b) => numberOf(a) - numberOf(b));
  const records = sorted.filter((record) => numberOf(record) >= first && numberOf(record) <= last);
  const after = sorted.filter((record) => numberOf(record) > last);
  const [next] = after;
  const newest = records.at(-1);
  if (head === undefined) return { records, after };
  if (next === undefined || newest === undefined) return { records, after, end: head };
  const { previous } = next.integrity;
  return {
    records,
    after,
    end: { ...head, seq: numberOf(next) - 1, chain: previous, updatedAt: newest.time_dt },
  };
}

function numberOf({ metadata }: AuditRecord): number {
  return metadata.sequence;
}

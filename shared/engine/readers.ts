import { readOf, type NoRead, type Read, type ReadScope } from '../domain/cloudtrail-reads.ts';
import { identityOf, joined, sessionsSeen, type SeenReader } from '../domain/readers.ts';
import type { Client } from '../domain/evidence.ts';
import type { Instant } from '../domain/clock.ts';
import type { Baselines } from '../ports/baselines.ts';
import type { ReaderLog } from '../ports/reader-log.ts';
import { observeUnusual } from './anomalies/observe.ts';
import { keepReads } from './upstream-uses.ts';

/** For the log: how many records were reads, how many sightings were written, why the others didn't count. */
export interface ReadersAnswer {
  readonly reads: number;
  readonly written: number;
  /** How many uses that were news; 0 where reads aren't kept one by one. */
  readonly kept: number;
  /** How much of it was unusual; 0 where nobody looks for that. */
  readonly unusual: number;
  readonly dropped: Readonly<Partial<Record<NoRead, number>>>;
}

const WRITES_AT_ONCE = 10;

/**
 * Keeps who has read, each read where `log` is given, and what is unusual of it where `baselines` are kept, from records of
 * CloudTrail as texts. Whatever a text holds, it is a read or it is counted, never a failure: only a ledger that doesn't answer fails the batch, which may then be given again.
 */
export async function observeReads(
  {
    readers,
    baselines,
    log,
  }: {
    readonly readers: ReaderLog;
    readonly baselines?: Baselines | undefined;
    readonly log?: Parameters<typeof keepReads>[0] | undefined;
  },
  records: readonly string[],
  scope: ReadScope,
): Promise<ReadersAnswer> {
  const dropped: Partial<Record<NoRead, number>> = {};
  const seen = new Map<string, { secret: string; reader: SeenReader }>();
  const reads: Read[] = [];
  for (const text of records) {
    const read = readOf(parsed(text), scope);
    if (typeof read === 'string') {
      dropped[read] = (dropped[read] ?? 0) + 1;
      continue;
    }
    reads.push(read);
    const { secret, reader } = read;
    const key = `${secret} ${identityOf(reader)}`;
    const known = seen.get(key);
    seen.set(key, { secret, reader: known === undefined ? reader : joined(known.reader, reader) });
  }
  const written = await keep(readers, [...seen.values()]);
  const kept = log === undefined ? 0 : await keepReads(log, reads);
  const unusual = baselines === undefined ? 0 : await observeUnusual(baselines, reads);
  return { reads: reads.length, written, kept, unusual, dropped };
}

/** Keeps who is logged in at the source. It informs, so that its failure is nobody's. */
export async function observeSessions(
  { readers }: { readonly readers: ReaderLog },
  secret: string,
  clients: readonly Client[],
  at: Instant,
): Promise<void> {
  const seen = sessionsSeen(clients, at).map((reader) => ({ secret, reader }));
  await keep(readers, seen).catch(() => undefined);
}

async function keep(
  readers: ReaderLog,
  seen: readonly { secret: string; reader: SeenReader }[],
): Promise<number> {
  let written = 0;
  for (let from = 0; from < seen.length; from += WRITES_AT_ONCE) {
    const some = seen.slice(from, from + WRITES_AT_ONCE);
    const answers = await Promise.all(some.map(({ secret, reader }) => readers.saw(secret, reader)));
    written += answers.filter(Boolean).length;
  }
  return written;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

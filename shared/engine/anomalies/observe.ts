import type { Read } from '../../domain/cloudtrail-reads.ts';
import type { Sighting } from '../../domain/anomalies/baseline.ts';
import { judge, type Finding } from '../../domain/anomalies/judge.ts';
import { networkOf } from '../../domain/anomalies/network.ts';
import { suspicionOf } from '../../domain/anomalies/suspicion.ts';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import { identityOf } from '../../domain/readers.ts';
import type { Baselines } from '../../ports/baselines.ts';

/** Tries to keep a baseline that others change as well. */
const ATTEMPTS = 5;

/** A read, and what is judged of it. */
interface Judged {
  readonly read: Read;
  readonly sighting: Sighting;
}

/**
 * Holds reads against what is usual of their secret and their reader, learns from them, and keeps what is unusual. Suspicions
 * are kept before what was learnt: a process that dies in between finds the same ones again, which are kept once.
 */
export async function observeUnusual(baselines: Baselines, reads: readonly Read[]): Promise<number> {
  let found = 0;
  const ordered = reads.toSorted((a, b) => (a.reader.lastSeen < b.reader.lastSeen ? -1 : 1));
  for (const [secret, ofSecret] of grouped(ordered, ({ secret: name }) => name)) {
    const readers = grouped(ofSecret, readerOf);
    found += await judgeAll(
      baselines,
      secret,
      undefined,
      // Once a day each: which readers there are is known by days.
      [...grouped(ofSecret, (read) => `${dayOf(read)} ${readerOf(read)}`).values()].flatMap(([read]) =>
        read === undefined ? [] : [asReader(read)],
      ),
    );
    for (const [reader, own] of readers) found += await judgeAll(baselines, secret, reader, own.map(asRead));
  }
  return found;
}

async function judgeAll(
  baselines: Baselines,
  secret: string,
  of: string | undefined,
  judged: readonly Judged[],
): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { baseline, version } = await baselines.read(secret, of);
    const found: { read: Read; finding: Finding }[] = [];
    let after = baseline;
    for (const { read, sighting } of judged) {
      const next = judge(after, sighting);
      ({ after } = next);
      found.push(...next.findings.map((finding) => ({ read, finding })));
    }
    const suspicions = new Map(
      found.map(({ read, finding }) => {
        const suspicion = suspicionOf(secret, read.reader, read.reader.lastSeen, finding);
        return [suspicion.id, suspicion];
      }),
    );
    for (const suspicion of suspicions.values()) await baselines.suspect(suspicion);
    if (after === baseline || (await baselines.keep(secret, of, { baseline: after, version })))
      return suspicions.size;
  }
  throw new RekeyError('ERR_CONFLICT', 'what is usual of a reader is changed by others all the time');
}

function asRead(read: Read): Judged {
  const { reader, id, address } = read;
  const network = address === undefined ? undefined : networkOf(address);
  const at = reader.lastSeen;
  return {
    read,
    sighting: { at, id, traits: { hour: at.slice(11, 13), ...(network === undefined ? {} : { network }) } },
  };
}

function asReader(read: Read): Judged {
  return { read, sighting: { at: read.reader.lastSeen, traits: { reader: readerOf(read) } } };
}

/** Only what AWS vouches for, and no version: who chooses what is hinted at must not be another reader with it. */
function readerOf({ reader: { principal, name } }: Read): string {
  return identityOf({ kind: 'role', principal, ...(name === undefined ? {} : { name }) });
}

const dayOf = ({ reader }: Read): string => toInstant(Date.parse(reader.lastSeen)).slice(0, 10);

function grouped<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) groups.set(keyOf(each), [...(groups.get(keyOf(each)) ?? []), each]);
  return groups;
}

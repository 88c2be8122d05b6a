import type { Read } from '../../domain/cloudtrail-reads.ts';
import { networkOf } from '../../domain/anomalies/network.ts';
import { toInstant } from '../../domain/clock.ts';
import { identityOf } from '../../domain/readers.ts';
import type { Baselines } from '../../ports/baselines.ts';
import { learn, type Seen } from './learn.ts';

/** Holds reads against what is usual of their secret and their reader, learns from them, and keeps what is unusual. */
export async function observeUnusual(baselines: Baselines, reads: readonly Read[]): Promise<number> {
  let found = 0;
  const ordered = reads.toSorted((a, b) => (a.reader.lastSeen < b.reader.lastSeen ? -1 : 1));
  for (const [secret, ofSecret] of grouped(ordered, ({ secret: name }) => name)) {
    const readers = grouped(ofSecret, readerOf);
    found += await learn(
      baselines,
      secret,
      undefined,
      // Once a day each: which readers there are is known by days.
      [...grouped(ofSecret, (read) => `${dayOf(read)} ${readerOf(read)}`).values()].flatMap(([read]) =>
        read === undefined ? [] : [asReader(read)],
      ),
    );
    for (const [reader, own] of readers) found += await learn(baselines, secret, reader, own.map(asRead));
  }
  return found;
}

function asRead(read: Read): Seen {
  const { reader, id, address } = read;
  const network = address === undefined ? undefined : networkOf(address);
  const at = reader.lastSeen;
  return {
    who: reader,
    sighting: { at, id, traits: { hour: at.slice(11, 13), ...(network === undefined ? {} : { network }) } },
  };
}

function asReader(read: Read): Seen {
  return { who: read.reader, sighting: { at: read.reader.lastSeen, traits: { reader: readerOf(read) } } };
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

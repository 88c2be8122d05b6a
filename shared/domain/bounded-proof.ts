import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { HolderEvidence } from './holder-evidence.ts';

/**
 * So much of a proof stands in one record. DynamoDB takes 400 KB, of which the names of a thousand holders and of their
 * fleets take up to 260, and what is missing stands in a retirement twice.
 */
const HOLDERS_BYTES = 48 * 1024;
const MISSING_BYTES = 24 * 1024;

/** Holders whose evidence has no room in a record. */
export interface LeftOut {
  readonly holders: number;
  /** Acknowledgements of those of kind `client`, which stay as items of their own. */
  readonly acknowledgements: number;
  /** SHA-256 over the name and digest of each of these, by name, as canonical JSON (RFC 8785). */
  readonly digest: string;
}

/** The evidence that a record has room for, what speaks against the end first; and what stands for the rest. */
export function boundedHolders(seen: readonly HolderEvidence[]): {
  holders: readonly HolderEvidence[];
  left?: LeftOut;
} {
  if (bytesOf(seen) <= HOLDERS_BYTES) return { holders: seen };
  const against = (each: HolderEvidence): boolean =>
    each.trouble !== undefined || (each.kind === 'client' && each.missing.length > 0);
  const holders: HolderEvidence[] = [];
  const left: HolderEvidence[] = [];
  let bytes = 0;
  for (const each of [...seen.filter(against), ...seen.filter((other) => !against(other))]) {
    bytes += bytesOf(each);
    (bytes <= HOLDERS_BYTES ? holders : left).push(each);
  }
  const clients = left
    .flatMap((each) => (each.kind === 'client' ? [each] : []))
    .toSorted((a, b) => (a.holder < b.holder ? -1 : 1));
  const digests = canonicalize(clients.map(({ holder, digest }) => [holder, digest])) ?? '';
  return {
    holders,
    left: {
      holders: left.length,
      acknowledgements: clients.reduce((sum, { acknowledgements }) => sum + acknowledgements, 0),
      digest: `sha256:${createHash('sha256').update(digests).digest('hex')}`,
    },
  };
}

/** The reasons that a record has room for, and how many there are beside them. Never empty where there is one. */
export function boundedMissing(missing: readonly string[]): readonly string[] {
  if (bytesOf(missing) <= MISSING_BYTES) return missing;
  const some: string[] = [];
  let bytes = 0;
  for (const each of missing) {
    bytes += bytesOf(each);
    if (bytes > MISSING_BYTES) break;
    some.push(each);
  }
  return [...some, `and ${missing.length - some.length} more`];
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

import type { Instant } from './clock.ts';

/** An address with when a session was seen to come from it first and last. */
export interface SeenAddress {
  readonly address: string;
  readonly firstSeen: Instant;
  readonly lastSeen: Instant;
}

/** Where a reader was seen to come from. */
export interface Whereabouts {
  /** The latest. */
  readonly address?: string;
  /** Each, the first known first. Absent in what the version before has kept. */
  readonly addresses?: readonly SeenAddress[];
  /** It came from more than are kept. */
  readonly addressesLost?: true;
}

/**
 * How many addresses of a reader are kept: half of them those that were known first, which say what is ordinary, the others
 * the latest. Whoever comes from ever new ones displaces neither what was known before nor its own newest.
 */
export const ADDRESSES_KEPT = 20;

/** Addresses of a reader that was last seen then. Of what the version before has kept, only the latest is known. */
export function addressesOf(
  {
    address,
    addresses,
  }: { readonly address?: string | undefined; readonly addresses?: readonly SeenAddress[] | undefined },
  lastSeen: Instant,
): readonly SeenAddress[] {
  return addresses ?? (address === undefined ? [] : [{ address, firstSeen: lastSeen, lastSeen }]);
}

/** What is kept of where it was seen; nothing where no source shows that. */
export function whereabouts(sightings: readonly SeenAddress[], isSomeLost: boolean): Whereabouts {
  const met = [...Map.groupBy(sightings, ({ address }) => address)]
    .map(([address, same]) => ({
      address,
      firstSeen: same.map((each) => each.firstSeen).reduce((a, b) => (a < b ? a : b)),
      lastSeen: same.map((each) => each.lastSeen).reduce((a, b) => (a > b ? a : b)),
    }))
    .toSorted(byFirst);
  const known = met.slice(0, ADDRESSES_KEPT / 2);
  const others = met.slice(known.length).toSorted(byLast);
  const latest = others.slice(0, ADDRESSES_KEPT - known.length);
  const newest = [...known, ...latest].toSorted(byLast)[0];
  if (newest === undefined) return {};
  return {
    address: newest.address,
    addresses: [...known, ...latest.toSorted(byFirst)],
    ...(isSomeLost || latest.length < others.length ? { addressesLost: true as const } : {}),
  };
}

function byFirst(a: SeenAddress, b: SeenAddress): number {
  return order(a.firstSeen, b.firstSeen) || order(a.address, b.address);
}

function byLast(a: SeenAddress, b: SeenAddress): number {
  return order(b.lastSeen, a.lastSeen) || order(a.address, b.address);
}

function order(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

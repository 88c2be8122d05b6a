/**
 * Where a credential lives at its upstream, and what bounds it there, as the upstream tells it. Nothing of it is secret. A
 * fact that is absent wasn't told; that is never taken for "none".
 */
export interface Place {
  /** Account or organisation. */
  readonly account?: string | undefined;
  /** Project or workspace. */
  readonly project?: string | undefined;
  /** The plan or tier, in the upstream's own words. */
  readonly tier?: string | undefined;
  /** How much may be asked of it in which time, in words. */
  readonly rateLimits?: readonly string[] | undefined;
  /** How much may be spent, with currency and interval; null where the upstream says that there is no limit. */
  readonly spendLimit?: string | null | undefined;
  /** Addresses, sites or apps from which alone the credential works; empty where the upstream says that there is no such list. */
  readonly allowlist?: readonly string[] | undefined;
}

/** So much of a list goes into a record; so long may a text of an upstream be. */
const LISTED = 20;
const LONGEST = 120;

/** A place as a record keeps it: without what wasn't told, and no longer than a record bears. */
export function recorded(place: Place): Place {
  const told = Object.entries(place).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    told.map(([name, value]) => [name, shortened(value as string | readonly string[] | null)]),
  );
}

function shortened(value: string | readonly string[] | null): string | readonly string[] | null {
  if (value === null) return null;
  if (typeof value === 'string') return short(value);
  const more = value.length > LISTED ? [`and ${value.length - LISTED} more`] : [];
  return [...value.slice(0, LISTED).map(short), ...more];
}

function short(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

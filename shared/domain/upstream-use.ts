import { toInstant, type Instant } from './clock.ts';

/** Who tells of uses at upstreams: AWS's trail, logs of databases, what providers count for each key. */
export const UPSTREAM_SOURCES = ['cloudtrail', 'database-log', 'provider-usage'] as const;
export type UpstreamSource = (typeof UPSTREAM_SOURCES)[number];

/**
 * A use of a credential as its upstream tells of it, in one bucket of time; or, where neither key nor login is named, a read of
 * its secret as CloudTrail tells of it.
 */
export interface UpstreamUse {
  readonly credentialId: string;
  readonly source: UpstreamSource;
  /** Id of the key or login at the upstream, as in a handle without its generation: `AKIA…`, `orders_a`. */
  readonly keyId?: string;
  /** Version of the secret that was read, where a read has named one. */
  readonly versionId?: string;
  /** The workflow as the upstream names it: a user of IAM, an application, a project. */
  readonly who: string;
  readonly address?: string;
  /** What was touched: `s3:ListBuckets`, a database, a model. */
  readonly scope?: string;
  /** Whether it was let in; absent where the source tells only that it was there. */
  readonly outcome?: 'worked' | 'refused';
  /** First and last instant, both inclusive; of a source that counts, the ends of its bucket. */
  readonly from: Instant;
  readonly to: Instant;
  /** How often, where the source counts. Of what is delivered at least once nothing can be counted. */
  readonly succeeded?: number;
  readonly refused?: number;
}

/** Of which time a source has told, for one credential or for the whole deployment: the end is exclusive. */
export interface UseCoverage {
  readonly source: UpstreamSource;
  /** Id of a credential, or `DEPLOYMENT`. */
  readonly of: string;
  readonly from: Instant;
  readonly to: Instant;
}

/** What `UseCoverage.of` is where a source tells of every credential alike. */
export const DEPLOYMENT = 'deployment';

/** The longest bucket of a source that counts. */
export const LONGEST_BUCKET_SECONDS = 86_400;

/** The bucket in which a use is kept: the minute in which it began. */
export function bucketOf({ from }: Pick<UpstreamUse, 'from'>): string {
  return from.slice(0, 16);
}

/** The same text for what is gathered in one, beside credential and bucket. */
export function sightingOf({ source, keyId, versionId, who, address, scope, outcome }: UpstreamUse): string {
  return JSON.stringify([source, keyId, versionId, who, address, scope, outcome].map((each) => each ?? null));
}

/**
 * Two tellings of the same use as one. Whatever comes twice or in another order, the outcome is the same: the time grows, and
 * the counts of a bucket are its own, so that the larger one is the later one.
 */
export function widened(known: UpstreamUse, told: UpstreamUse): UpstreamUse {
  return {
    ...known,
    from: known.from < told.from ? known.from : told.from,
    to: known.to > told.to ? known.to : told.to,
    ...larger('succeeded', known, told),
    ...larger('refused', known, told),
  };
}

function larger(name: 'succeeded' | 'refused', one: UpstreamUse, other: UpstreamUse): Partial<UpstreamUse> {
  const counts = [one[name], other[name]].filter((count) => count !== undefined);
  return counts.length === 0 ? {} : { [name]: Math.max(...counts) };
}

/** Many sightings as few uses: one for each bucket in which the same was seen. */
export function gathered(sightings: readonly UpstreamUse[]): UpstreamUse[] {
  const found = new Map<string, UpstreamUse>();
  for (const each of sightings) {
    const key = JSON.stringify([each.credentialId, bucketOf(each), sightingOf(each)]);
    const known = found.get(key);
    found.set(key, known === undefined ? each : widened(known, each));
  }
  return [...found.values()];
}

/** Whether a use was let in; undefined where nothing tells. */
export function hasWorked({
  succeeded,
  outcome,
}: {
  readonly succeeded?: number | undefined;
  readonly outcome?: UpstreamUse['outcome'] | undefined;
}): boolean | undefined {
  if (succeeded !== undefined) return succeeded > 0;
  return outcome === undefined ? undefined : outcome === 'worked';
}

/** The same time by days of UTC, each part with the day that it lies in: what is kept of a day stays small. */
export function byDay(from: Instant, to: Instant): { day: string; from: Instant; to: Instant }[] {
  const parts: { day: string; from: Instant; to: Instant }[] = [];
  for (let start = from; start < to;) {
    const day = start.slice(0, 10);
    const midnight = toInstant(Date.parse(`${day}T00:00:00.000Z`) + 86_400_000);
    const end = midnight < to ? midnight : to;
    parts.push({ day, from: start, to: end });
    start = end;
  }
  return parts;
}

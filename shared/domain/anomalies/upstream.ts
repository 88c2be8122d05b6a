import { fromInstant } from '../clock.ts';
import type { Credential } from '../credential.ts';
import { digestOf } from '../signals/signal.ts';
import { bucketOf, sightingOf, type UpstreamSource, type UpstreamUse } from '../upstream-use.ts';
import type { Sighting } from './baseline.ts';
import { networkOf } from './network.ts';
import type { Suspect } from './suspicion.ts';

/** So long after its end, in seconds, a slot is judged by what a source has told of it; what comes later isn't judged. */
export const TOLD_WITHIN: Readonly<Record<UpstreamSource, number>> = {
  cloudtrail: 1800,
  'database-log': 1800,
  // Providers count late, and are asked now and then.
  'provider-usage': 14_400,
};

/** A count over a longer time tells nothing of the hour of the day. */
const HOUR_MS = 3_600_000;

/** A use as an upstream tells of it, as it is judged. Of what isn't counted, each minute of a kind counts once. */
export function sightingAt(
  use: UpstreamUse,
  { type, target }: Pick<Credential, 'type' | 'target'>,
): Sighting {
  const { from, to, address, scope, succeeded, refused } = use;
  const network = address === undefined ? undefined : networkOf(address);
  const opens = opensOf(type, target);
  const isShort = fromInstant(to) - fromInstant(from) < HOUR_MS;
  return {
    at: from,
    id: `${bucketOf(use)} ${sightingOf(use)}`,
    times: succeeded === undefined && refused === undefined ? 1 : (succeeded ?? 0) + (refused ?? 0),
    traits: {
      // Most upstreams let their callers choose it, and its length.
      reader: digestOf(nameOf(use)).slice(0, 16),
      ...(isShort ? { hour: from.slice(11, 13) } : {}),
      ...(network === undefined ? {} : { network }),
      ...(scope === undefined ? {} : { resource: scope }),
    },
    ...(opens === undefined ? {} : { opens }),
  };
}

/** Whom an upstream names. */
export function workflowOf({ who, source }: Pick<UpstreamUse, 'who' | 'source'>): Suspect {
  return { kind: 'workflow', principal: who, name: source };
}

/** The login changes with each rotation, and whoever uses it doesn't. */
function nameOf({ who, keyId }: UpstreamUse): string {
  return keyId === undefined || keyId === '' ? who : who.replaceAll(keyId, '*');
}

/** All that a credential is declared to open, as its upstream calls it; undefined where the declaration doesn't say. */
function opensOf(type: string, target: unknown): readonly string[] | undefined {
  const isOfDatabase = type === 'database' && typeof target === 'object' && target !== null;
  if (!isOfDatabase || !('database' in target) || typeof target.database !== 'string') return undefined;
  return [target.database];
}

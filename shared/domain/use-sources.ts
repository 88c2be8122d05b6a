import { capabilitiesOf } from './capabilities.ts';
import type { UpstreamSource } from './upstream-use.ts';

/** What a report says of a source of uses at an upstream. */
export interface UseSourceFacts {
  readonly source: UpstreamSource;
  /** How it is called in a report. */
  readonly name: string;
  /** Silence of at most this long, between two tellings, is silence and no gap. */
  readonly quietSeconds: number;
  /** Why it may have told nothing of a time. */
  readonly silence: string;
  /** What it never tells of, whatever it has told: a gap of its own, with what tells instead. */
  readonly beyond?: { readonly name: string; readonly why: string };
}

const FACTS: Readonly<Record<UpstreamSource, UseSourceFacts>> = {
  cloudtrail: {
    source: 'cloudtrail',
    name: 'CloudTrail',
    quietSeconds: 45 * 60,
    silence:
      'CloudTrail delivered nothing of that time: the source was off, or no trail logs management events',
    beyond: {
      name: 'CloudTrail of other Regions, data events, and sessions that the key began',
      why:
        'Rekey gets what happens in its own Region, and data events (objects, items, invocations) only where a trail logs them: ' +
        'look into CloudTrail of every Region',
    },
  },
  'database-log': {
    source: 'database-log',
    name: 'log of the database',
    // A server with log_connections and log_checkpoints writes something every five minutes.
    quietSeconds: 15 * 60,
    silence:
      'the log of the database delivered nothing of that time: it is not read, or not written (log_connections)',
    beyond: {
      name: 'what was asked of the database',
      why:
        'its log tells who was let in, from where and to which database; of a cluster it counts as told of where any of its ' +
        'instances has. Statements, tables and rows are in pgaudit, where it is on',
    },
  },
  'provider-usage': {
    source: 'provider-usage',
    name: 'usage that the provider counts',
    quietSeconds: 0,
    silence: 'the upstream was not asked about that time, did not answer, or may still count uses of it',
    beyond: {
      name: 'what the upstream counts in its report of uses alone',
      why: 'its counts have no address, no request that was refused, and only the calls that docs/providers names',
    },
  },
};

/** The sources of uses beside what providers count, by type and provider; of what has neither, uses are in the upstream's log only. */
const SOURCE_OF: Readonly<Record<string, UpstreamSource>> = {
  'cloud-key/aws-iam': 'cloudtrail',
  'database/postgresql': 'database-log',
  'database-root/postgresql-master': 'database-log',
};

/** How long a source may be silent between two tellings and still cover the time, in seconds. */
export function quietSecondsOf(source: UpstreamSource): number {
  return FACTS[source].quietSeconds;
}

/** The source that tells of uses of such credentials at their upstream; undefined where none does. */
export function useSourceOf(type: string, provider: string): UseSourceFacts | undefined {
  const tells = capabilitiesOf(type, provider)?.metering?.tells;
  const source = SOURCE_OF[`${type}/${provider}`] ?? (tells === 'every use' ? 'provider-usage' : undefined);
  return source === undefined ? undefined : FACTS[source];
}

/** How a source is called where people read of it. */
export function sourceName(source: string): string {
  return Object.values(FACTS).find((facts) => facts.source === source)?.name ?? source;
}

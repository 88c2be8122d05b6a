import * as z from 'zod';
import { plusSeconds, toInstant, type Instant } from '../domain/clock.ts';
import { clocksOf } from '../domain/forensics/clocks.ts';
import type { Interval, Source, TracedUse } from '../domain/forensics/facts.ts';
import { merged } from '../domain/forensics/intervals.ts';
import { investigate } from '../domain/forensics/investigate.ts';
import { FRESH_SECONDS } from '../domain/readers.ts';
import { ADDRESSES_KEPT, addressesOf } from '../domain/seen-addresses.ts';
import type { ReaderView, ReportedUse, TraceAnswer } from './messages.ts';
import { instant } from './messages/common.ts';

const classed = z.enum(['expected', 'unexplained', 'suspect']);

const reportUse = z.object({
  class: classed,
  source: z.string().describe('Who tells of it'),
  who: z.string().describe('The workflow: an agent, a role, a login at the upstream'),
  declaredAs: z.string().optional().describe('The holder of the declaration that it is'),
  session: z.string().optional(),
  fingerprints: z.array(z.string()).describe('Values that it may have been'),
  from: instant.describe('Inclusive; of a reader, when it was first seen'),
  to: instant.describe(
    'Inclusive; of a reader, until when it may have read: it is written down once an hour',
  ),
  succeeded: z.number().optional().describe('Absent where the source counts nothing'),
  refused: z.number().optional(),
  address: z.string().optional(),
  scope: z.string().optional(),
  place: z.enum(['within', 'after']).describe('within the exposure, or after its end'),
  findings: z.array(
    z.object({
      aspect: z.enum(['workflow', 'address', 'scope', 'time']),
      verdict: z.enum(['fits', 'unknown', 'contradicts']),
      text: z.string(),
    }),
  ),
});

const reportCredential = z.object({
  name: z.string(),
  id: z.string(),
  type: z.string(),
  provider: z.string(),
  stage: z.string().optional().describe('How far its emergency is'),
  exposures: z.array(
    z.object({
      fingerprint: z.string(),
      handle: z.string(),
      versionIds: z.array(z.string()),
      from: instant.optional().describe('Inclusive; absent where nobody knows a last known good'),
      fromWhy: z.string(),
      to: instant.optional().describe('Exclusive; absent while no revocation is confirmed'),
      toWhy: z.string(),
    }),
  ),
  exposed: z.object({
    access: z.string(),
    sensitivity: z.string(),
    opens: z.array(z.object({ name: z.string(), value: z.string() })),
    holders: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        uses: z.string().optional(),
        delegates: z.array(z.string()).optional(),
      }),
    ),
  }),
  counts: z.record(classed, z.number()),
  uses: z.array(reportUse),
  gaps: z.array(
    z.object({
      source: z.string(),
      from: instant
        .optional()
        .describe('Inclusive; absent where it reaches back to before anything is known'),
      to: instant.describe('Exclusive'),
      why: z.string(),
    }),
  ),
  moments: z.array(z.object({ at: instant, action: z.string(), actor: z.string(), reason: z.string() })),
});

/** A report of an incident; what `rekey incident report --format json` prints. */
export const incidentReport = z.object({
  version: z.literal(1),
  incident: z.string(),
  generatedAt: instant,
  awareAt: instant,
  awareWhy: z.string(),
  clocks: z.array(
    z.object({
      regime: z.string(),
      duty: z.string(),
      runsFrom: z.string(),
      deadline: instant,
      applies: z.string(),
    }),
  ),
  credentials: z.array(reportCredential),
  unread: z
    .array(z.object({ credential: z.string(), why: z.string() }))
    .describe('Credentials of the incident of which nothing could be read'),
});
export type IncidentReport = z.infer<typeof incidentReport>;
export type ReportedCredential = z.infer<typeof reportCredential>;

/** JSON Schema of a report, as published in `docs/incident-report.schema.json`. */
export function incidentReportJsonSchema(): object {
  return {
    ...z.toJSONSchema(incidentReport),
    title: 'Incident report',
    description: 'What `rekey incident report --format json` prints (docs/forensics.md).',
  };
}

/** What a person tells for a report, beside what the records say. */
export interface Told {
  readonly awareAt?: Instant | undefined;
  readonly classifiedAt?: Instant | undefined;
  readonly knownGood?: Instant | undefined;
}

/** The report of an incident from what was read of each of its credentials. */
export function reportOf(
  incident: string,
  found: readonly {
    readonly trace: TraceAnswer;
    readonly uses: readonly ReportedUse[];
    readonly keptSince: Instant;
  }[],
  unread: IncidentReport['unread'],
  told: Told,
  now: number,
): IncidentReport {
  const generatedAt = toInstant(now);
  const first = found.flatMap(({ trace }) => trace.moments.map(({ at }) => at)).toSorted()[0];
  const awareAt = told.awareAt ?? first ?? generatedAt;
  return {
    version: 1,
    incident,
    generatedAt,
    awareAt,
    awareWhy:
      told.awareAt === undefined
        ? 'assumed: the first record of the incident; --aware tells another moment'
        : 'as told for this report',
    clocks: clocksOf({
      awareAt,
      ...(told.classifiedAt === undefined ? {} : { classifiedAt: told.classifiedAt }),
    }),
    credentials: found.map((each) => credentialOf(each, told, generatedAt)),
    unread: [...unread],
  };
}

/** From when on uses of the exposed values count; undefined where the beginning is unknown. */
export function exposedSince({ keys, since }: TraceAnswer, { knownGood }: Told): Instant {
  const starts = keys.map(({ madeAt = since }) =>
    knownGood !== undefined && knownGood > madeAt ? knownGood : madeAt,
  );
  return starts.toSorted()[0] ?? since;
}

function credentialOf(
  { trace, uses, keptSince }: Parameters<typeof reportOf>[1][number],
  { knownGood }: Told,
  now: Instant,
): ReportedCredential {
  const { credential, keys, holders, readers, moments, haltedAt, since, stage } = trace;
  const {
    exposures,
    uses: classedUses,
    gaps,
  } = investigate({
    keys,
    uses: [
      ...uses.filter(isUse).map((use) => useOf(use, holders)),
      ...readers.flatMap((reader) => seenAs(reader, now)),
    ],
    sources: sourcesOf(trace, uses, keptSince, now),
    ordinary: {
      addresses: addressesBefore(readers, exposedSince(trace, { knownGood })),
      ...(haltedAt === undefined ? {} : { haltedAt }),
    },
    since,
    now,
    ...(knownGood === undefined ? {} : { knownGood }),
  });
  const { access, sensitivity, opens, ...about } = credential;
  const count = (wanted: string): number => classedUses.filter((use) => use.class === wanted).length;
  return {
    ...about,
    ...(stage === undefined ? {} : { stage }),
    exposures: exposures.map((exposure) => ({ ...exposure, versionIds: [...exposure.versionIds] })),
    exposed: { access, sensitivity, opens, holders },
    counts: { expected: count('expected'), unexplained: count('unexplained'), suspect: count('suspect') },
    uses: classedUses.map(({ of: _of, isForeign: _isForeign, ...use }) => ({
      ...use,
      fingerprints: [...use.fingerprints],
      findings: [...use.findings],
    })),
    gaps: [...gaps],
    moments,
  };
}

/** Zeros say that an agent was there: they cover its time, and are no use. */
function isUse({ succeeded, refused }: ReportedUse): boolean {
  return succeeded + refused > 0;
}

function useOf(
  { agent, session, version: versionId, succeeded, refused, from, to }: ReportedUse,
  holders: TraceAnswer['holders'],
): TracedUse {
  const isDeclared = holders.some(({ name, kind }) => kind === 'client' && name === agent);
  return {
    source: `reports of ${agent}`,
    who: agent,
    ...(isDeclared ? { declaredAs: agent } : {}),
    of: { kind: 'version', versionId },
    session,
    succeeded,
    refused,
    from,
    to,
  };
}

const LABELS: ReadonlySet<string> = new Set(['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS']);

/** A reader as uses: of a session one for each address from which it came. */
function seenAs(reader: ReaderView, now: Instant): TracedUse[] {
  const { kind, version, declaredAs, firstSeen, lastSeen } = reader;
  const isSession = kind === 'session';
  // Whoever reads often is written down once an hour: it may have read until then.
  const latest = isSession || version !== undefined ? lastSeen : plusSeconds(lastSeen, FRESH_SECONDS);
  const use = {
    source: isSession ? SESSIONS : READS,
    who: whoOf(reader),
    ...(declaredAs === undefined ? {} : { declaredAs }),
    of: ofReader(reader),
    from: firstSeen,
    to: latest > now && lastSeen <= now ? now : latest,
    ...(kind === 'account' ? { isForeign: true as const } : {}),
  };
  const places = addressesOf(reader, lastSeen);
  // What the version before has kept has its first sighting without the address of that.
  if (places.length <= 1) return [{ ...use, ...(places[0] && { address: places[0].address }) }];
  return places.map(({ address, firstSeen: from, lastSeen: to }) => ({ ...use, address, from, to }));
}

function whoOf({ principal, name }: ReaderView): string {
  return name === undefined ? principal : `${name} (${principal})`;
}

function ofReader({ kind, principal, version }: ReaderView): TracedUse['of'] {
  if (kind === 'session') return { kind: 'login', id: principal };
  if (version === undefined || LABELS.has(version)) return { kind: 'unknown' };
  return { kind: 'version', versionId: version };
}

/** Where sessions were seen before it, by who they are. */
function addressesBefore(
  readers: readonly ReaderView[],
  since: Instant,
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...Map.groupBy(readers, whoOf)].map(([who, same]) => [
      who,
      same
        .flatMap((reader) => addressesOf(reader, reader.lastSeen))
        .filter(({ firstSeen }) => firstSeen < since)
        .map(({ address }) => address),
    ]),
  );
}

const READS = 'reads of the secret (CloudTrail)';
const SESSIONS = 'sessions at the source';
/** An agent reports with each heartbeat, every minute. */
const SLACK_MS = 90_000;

/** Every source that there could be, with the times of which it tells: what none covers is a gap. */
function sourcesOf(
  { holders, holes, since, readers }: TraceAnswer,
  uses: readonly ReportedUse[],
  keptSince: Instant,
  now: Instant,
): Source[] {
  const agents = holders.filter(({ kind }) => kind === 'client');
  const others = holders.filter(({ kind }) => kind !== 'client');
  return [
    ...agents.map(({ name, uses: reports }): Source => {
      const of = uses.filter(({ agent }) => agent === name);
      const why =
        reports === 'reported'
          ? `it was not in session or did not report; reports that ended before ${keptSince} are in the archive only`
          : 'its pact does not say that it reports its uses';
      return { name: `reports of ${name}`, covers: merged(of, SLACK_MS), why };
    }),
    ...others.map(({ name, kind }): Source => ({
      name: `reports of ${name}`,
      covers: [],
      why: `a holder of kind ${kind} reports nothing`,
    })),
    {
      name: READS,
      covers: [],
      why: 'of each reader only the first and the last read are kept, for 90 days, where a trail delivers; CloudTrail has each of them',
    },
    {
      name: SESSIONS,
      covers: [],
      why: [
        'the source is looked at while a rotation goes on, and only some sources show sessions',
        ...readers
          .filter(({ addressesLost }) => addressesLost === true)
          .map(
            (reader) => `${whoOf(reader)} came from more than the ${ADDRESSES_KEPT} addresses that are kept`,
          ),
      ].join('; '),
    },
    {
      name: "the upstream's own log",
      covers: [],
      why: 'Rekey does not read it: whoever stole the value and uses it directly shows there alone',
    },
    {
      name: 'audit records',
      covers: outside(holes, since, now),
      why: 'records are missing, or not as they were written',
    },
  ];
}

/** All the time but `holes`. */
function outside(holes: readonly Interval[], since: Instant, now: Instant): Interval[] {
  const sorted = merged(holes);
  const ends = [since, ...sorted.map(({ to }) => to)];
  const starts = [...sorted.map(({ from }) => from), now];
  return ends.map((from, index) => ({ from, to: starts[index] ?? now }));
}

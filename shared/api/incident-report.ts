import * as z from 'zod';
import { toInstant, type Instant } from '../domain/clock.ts';
import { clocksOf } from '../domain/forensics/clocks.ts';
import { investigate } from '../domain/forensics/investigate.ts';
import type { TraceAnswer, UsesAnswer } from './messages.ts';
import { instant } from './messages/common.ts';
import { sourcesOf } from './traced-sources.ts';
import { ordinaryOf, tracedUses } from './traced-uses.ts';

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
  outcome: z
    .enum(['worked', 'refused'])
    .optional()
    .describe('Whether it was let in, where the source tells that and counts nothing'),
  address: z.string().optional(),
  scope: z.string().optional(),
  place: z.enum(['within', 'after']).describe('within the exposure, or after its end'),
  findings: z.array(
    z.object({
      aspect: z.enum(['workflow', 'address', 'scope', 'time', 'count']),
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

/** What was told of one credential's uses, as `rekey uses` has it. */
export type ToldUses = Pick<UsesAnswer, 'uses' | 'keptSince'> &
  Partial<Pick<UsesAnswer, 'upstream' | 'coverage'>>;

/** The report of an incident from what was read of each of its credentials. */
export function reportOf(
  incident: string,
  found: readonly { readonly trace: TraceAnswer; readonly told: ToldUses }[],
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

/** From when on uses of the exposed values count. */
export function exposedSince({ keys, since }: TraceAnswer, { knownGood }: Told): Instant {
  const starts = keys.map(({ madeAt = since }) =>
    knownGood !== undefined && knownGood > madeAt ? knownGood : madeAt,
  );
  return starts.toSorted()[0] ?? since;
}

function credentialOf(
  { trace, told: toldUses }: Parameters<typeof reportOf>[1][number],
  { knownGood }: Told,
  now: Instant,
): ReportedCredential {
  const { credential, keys, holders, moments, haltedAt, since, stage } = trace;
  const { uses, upstream = [], coverage = [], keptSince } = toldUses;
  const {
    exposures,
    uses: classedUses,
    gaps,
  } = investigate({
    keys,
    uses: tracedUses(trace, { uses, upstream }, now),
    sources: sourcesOf(trace, { uses, coverage, keptSince }, now),
    ordinary: {
      ...ordinaryOf(trace, upstream, exposedSince(trace, { knownGood })),
      ...(haltedAt === undefined ? {} : { haltedAt }),
    },
    silent:
      holders.length === 0
        ? ['any holder']
        : holders.filter(({ uses: reports }) => reports !== 'reported').map(({ name }) => name),
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
    uses: classedUses.map(({ of: _of, isForeign: _isForeign, isSelfNamed: _isSelfNamed, ...use }) => ({
      ...use,
      fingerprints: [...use.fingerprints],
      findings: [...use.findings],
    })),
    gaps: [...gaps],
    moments,
  };
}

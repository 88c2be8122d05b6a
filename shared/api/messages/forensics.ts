import * as z from 'zod';
import { instant, readerView } from './common.ts';

/** The query of `GET /v1/credentials/{name}/uses`; `to` by default is now, `from` a day before it. */
export const usesQuery = z.strictObject({
  from: z.iso.datetime({ error: 'write an instant as 2026-11-22T12:00:00Z' }).optional(),
  to: z.iso.datetime({ error: 'write an instant as 2026-11-22T12:00:00Z' }).optional(),
});

const reportedUse = z.object({
  agent: z.string(),
  session: z.string(),
  /** Version of the secret. */
  version: z.string(),
  succeeded: z.number(),
  refused: z.number(),
  from: instant,
  to: instant,
});
export type ReportedUse = z.infer<typeof reportedUse>;

const upstreamUse = z.object({
  /** `UpstreamSource`, or one that a later version has. */
  source: z.string(),
  /** Key or login at the upstream; absent where the secret was read. */
  keyId: z.string().optional(),
  /** Version of the secret that a read has named. */
  version: z.string().optional(),
  who: z.string(),
  address: z.string().optional(),
  scope: z.string().optional(),
  outcome: z.enum(['worked', 'refused']).optional(),
  from: instant,
  to: instant,
  /** Where the source counts. */
  succeeded: z.number().optional(),
  refused: z.number().optional(),
});
export type ToldUse = z.infer<typeof upstreamUse>;

const useCoverage = z.object({ source: z.string(), from: instant, to: instant });
export type ToldCoverage = z.infer<typeof useCoverage>;

export const usesAnswer = z.object({
  credential: z.string(),
  credentialId: z.string(),
  from: instant,
  to: instant,
  /** Reports that ended before it have been forgotten; the archive has them. */
  keptSince: instant,
  /** Those of zeros are included: they say that the agent was there and used nothing. */
  uses: z.array(reportedUse),
  /** What upstreams tell; versions before this one read none. */
  upstream: z.array(upstreamUse).default([]),
  /** Of which times sources of those have told: silence beyond them says nothing. */
  coverage: z.array(useCoverage).default([]),
  /** Where there is more: ask again with it as `from`. What began before it may come again. */
  next: instant.optional(),
});
export type UsesAnswer = z.infer<typeof usesAnswer>;

const tracedKey = z.object({
  fingerprint: z.string(),
  handle: z.string(),
  versionIds: z.array(z.string()),
  madeAt: instant.optional(),
  endedAt: instant.optional(),
  endedBy: z.string().optional(),
});

/** `GET /v1/credentials/{name}/incidents/{incident}`: what is known of an incident beside the reported uses. */
export const traceAnswer = z.object({
  incident: z.string(),
  credential: z.object({
    id: z.string(),
    name: z.string(),
    type: z.string(),
    provider: z.string(),
    access: z.string(),
    sensitivity: z.string(),
    /** Where it lives and what it opens, as declared. */
    opens: z.array(z.object({ name: z.string(), value: z.string() })),
  }),
  /** How far the emergency is; absent where another one has come since, or none was started. */
  stage: z.string().optional(),
  /** Values that the incident has ended or is to end, and those that were reported as leaked in it. */
  keys: z.array(tracedKey),
  moments: z.array(z.object({ at: instant, action: z.string(), actor: z.string(), reason: z.string() })),
  haltedAt: instant.optional(),
  /** The first record that there is. */
  since: instant,
  /** Times of which records are missing, or not as they were written. */
  holes: z.array(z.object({ from: instant, to: instant })),
  holders: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      /** Of an agent, by its pact: whether it reports its uses, and to whom it hands the credential. */
      uses: z.string().optional(),
      delegates: z.array(z.string()).optional(),
    }),
  ),
  readers: z.array(readerView),
  /** Where workflows came from and what they touched before its oldest value was made, as upstreams tell. */
  seenBefore: z
    .array(
      z.object({
        who: z.string(),
        addresses: z.array(z.string()),
        scopes: z.array(z.string()),
        /** It is what a client calls itself. */ selfNamed: z.boolean().default(false),
      }),
    )
    .default([]),
});
export type TraceAnswer = z.infer<typeof traceAnswer>;

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

export const usesAnswer = z.object({
  credential: z.string(),
  credentialId: z.string(),
  from: instant,
  to: instant,
  /** Reports that ended before it have been forgotten; the archive has them. */
  keptSince: instant,
  /** Those of zeros are included: they say that the agent was there and used nothing. */
  uses: z.array(reportedUse),
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
});
export type TraceAnswer = z.infer<typeof traceAnswer>;

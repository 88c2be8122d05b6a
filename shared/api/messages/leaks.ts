import * as z from 'zod';
import { MAX_CANDIDATES } from '../../domain/leak.ts';
import { handle, incident, instant, reason } from './common.ts';

/** `POST /v1/leaks`: a value that was found somewhere, by its fingerprints. The value itself is never sent. */
export const leakRequest = z.strictObject({
  fingerprints: z
    .array(z.string().regex(/^sha256:[0-9a-f]{64}$/, 'write sha256: and 64 hexadecimal digits'))
    .min(1)
    .max(MAX_CANDIDATES),
  incident,
  reason,
  /** False: what is revoked is not replaced; agents stay halted. */
  replace: z.boolean().default(true),
  /** Only says what it is: nothing is revoked or recorded. */
  dryRun: z.boolean().default(false),
});

const leakMatch = z.object({
  /** Name of its credential; of a former one, of who has its users at the target now. Absent where nobody has. */
  credential: z.string().optional(),
  credentialId: z.string(),
  fingerprint: z.string(),
  handle,
  issuedAt: instant,
  /** As in `outcome` of the answer. */
  outcome: z.string(),
  /** Names of its holders, as declared. */
  holders: z.array(z.string()),
  /** What the upstream showed of what was ended before. */
  deactivation: z.object({ method: z.string(), observedAt: instant, detail: z.string() }).optional(),
  /** Why it is not confirmed. */
  why: z.string().optional(),
  /** What a person does at the upstream, where Rekey may not. */
  byHand: z.string().optional(),
  /** The audit trail did not take the report in time. */
  unrecorded: z.boolean().optional(),
});
export type LeakMatch = z.infer<typeof leakMatch>;

const familyLeak = z.object({
  /** Name of the token family; absent where nothing is known of it any more. */
  family: z.string().optional(),
  familyId: z.string(),
  /** Which token it is: `access` or `refresh`. */
  token: z.string(),
  fingerprint: z.string(),
  /** When the server gave it. */
  givenAt: instant,
  /** As in `outcome` of the answer. */
  outcome: z.string(),
  holders: z.array(z.string()),
  /** Of what is revoked: what the server has said so far, `revoked` or `pending`. */
  revocation: z.string().optional(),
  /** Why it is dead or not confirmed. */
  why: z.string().optional(),
  unrecorded: z.boolean().optional(),
});
export type FamilyLeak = z.infer<typeof familyLeak>;

export const leakAnswer = z.object({
  /** `live` (revoked, unless this is a dry run), `dead`, `observed`, `not-confirmed` or `not-ours`: the worst of its matches. */
  outcome: z.string(),
  dryRun: z.boolean(),
  matches: z.array(leakMatch),
  /** Token families of which it is a token; those that are `live` have been revoked, unless this is a dry run. */
  families: z.array(familyLeak).optional(),
  /** What was started for what is live, for `GET /v1/emergencies/{id}`. */
  emergency: z.string().optional(),
});
export type LeakAnswer = z.infer<typeof leakAnswer>;

import * as z from 'zod';
import { incident, instant, reason } from './common.ts';
import { credentialView } from './credentials.ts';

/** How many credentials one request names, and one answer shows: each that is named is looked up before anything is revoked. */
export const MAX_EMERGENCY = 1000;

/** What is meant, where credentials aren't named one by one. */
export const select = z.union(
  [
    z.strictObject({
      agent: z.string().min(1).max(128),
      /** All that it could read or mint, sub-agents included. */
      closure: z.boolean().optional(),
    }),
    z.strictObject({ fleet: z.string().min(1).max(128) }),
    z.strictObject({ provider: z.string().min(1).max(63) }),
    z.strictObject({ everything: z.literal(true) }),
    /** A person: what they have seen, as far as that is known, and it works yet. */
    z.strictObject({ knownBy: z.string().min(1).max(256) }),
  ],
  'name one of agent (with closure or without), fleet, provider, everything and knownBy',
);

/** `POST /v1/emergencies` */
export const emergencyRequest = z
  .strictObject({
    /** Names or ids. With ids it starts even where the ledger doesn't answer. */
    credentials: z
      .array(z.string().min(1).max(128))
      .min(1, 'name at least one credential')
      .max(
        MAX_EMERGENCY,
        'name at most 1,000 in one request; several may share the incident, and a selection takes more',
      )
      .optional(),
    select: select.optional(),
    incident,
    reason,
    /** False: revoke only, agents stay halted. */
    replace: z.boolean().default(true),
    /** Of ids that a dry run has shown: what was let go of since is said in the results, and the others are revoked. */
    shown: z.boolean().optional(),
    /** Of a selection: says what would be revoked, and starts nothing. */
    dryRun: z.boolean().optional(),
    /** Of a dry run: what comes behind this one, which an answer has named as `next`. */
    after: z.string().min(1).max(128).optional(),
  })
  .refine(({ credentials, select: selection }) => (credentials === undefined) !== (selection === undefined), {
    path: ['credentials'],
    message: 'name credentials, or give a selection, and not both',
  })
  .refine(({ select: selection, dryRun }) => dryRun !== true || selection !== undefined, {
    path: ['dryRun'],
    message: 'only a selection has a dry run; what is named is shown by GET /v1/credentials/{name}',
  })
  .refine(({ after, dryRun }) => after === undefined || dryRun === true, {
    path: ['after'],
    message: 'only a dry run is answered page by page; leave it out',
  });

/** What a selection comes to beside what is revoked at once. */
const beside = {
  /** Administrative credentials of it that go once the others are dead: Rekey ends those with them. */
  later: z.array(z.string()),
  /** Token families of it, which are revoked by name; the most dangerous first. */
  families: z.array(z.string()),
  /** The same with what they are. Absent in answers of older deployments. */
  familyDetails: z
    .array(
      z.object({
        id: z.string(),
        name: z.string(),
        /** Its authorization server. */
        provider: z.string(),
        opens: z.array(z.object({ name: z.string(), value: z.string() })),
        holders: z.array(z.string()),
      }),
    )
    .optional(),
  /** What nobody knows, in words. */
  unknown: z.array(z.string()),
};

export const emergencyStarted = z.object({
  id: z.string(),
  credentials: z.array(z.string()),
  /** Names that nobody could look up because the ledger did not answer: not part of this emergency. */
  unresolved: z.array(z.string()),
  /** Of a selection; absent where credentials were named. */
  beside: z.object(beside).optional(),
});
export type EmergencyStarted = z.infer<typeof emergencyStarted>;

/** The answer to a dry run of a selection. */
export const selectionAnswer = z.object({
  dryRun: z.literal(true),
  /** The most dangerous first, with why each is among them. */
  selected: z.array(z.object({ credential: credentialView, why: z.array(z.string()) })),
  /** How many there are in all. Absent in answers of older deployments. */
  total: z.number().optional(),
  /** Where there are more than one answer shows: what the next request names as `after`. */
  next: z.string().optional(),
  ...beside,
});
export type SelectionAnswer = z.infer<typeof selectionAnswer>;

export const emergencyAnswer = z.object({
  id: z.string(),
  /** As Step Functions names it: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED. */
  status: z.string(),
  startedAt: instant,
  endedAt: instant.optional(),
  /** One per credential, as far as known. */
  results: z.array(z.looseObject({ credentialId: z.string().optional() })),
});
export type EmergencyAnswer = z.infer<typeof emergencyAnswer>;

/**
 * Whether a text can only be, or very likely is, a credential's id rather than its name: ids are opaque, names are
 * lower-case words. Decides what an emergency may start with while the ledger doesn't answer.
 */
export function looksLikeId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(text);
}

import * as z from 'zod';
import { incident, instant, pauseView, reason } from './common.ts';
import { holderView, registerAnswer } from './credentials.ts';
import { credentialDiagnosis } from './diagnosis.ts';

/** `POST /v1/families` */
export const familyRequest = z.strictObject({
  /** One entry of `families`; checked by `parseFamily`. */
  declaration: z.record(z.string(), z.unknown()),
  dryRun: z.boolean().default(false),
});

/** A token family as operators see it: no token, and nothing that one follows from but its fingerprint. */
export const familyView = z.object({
  id: z.string(),
  name: z.string(),
  owner: z.string(),
  /** `active` or `consent-needed`. */
  status: z.string(),
  /** Why somebody has to consent, in words, and since when. */
  needs: z.object({ why: z.string(), text: z.string(), since: instant }).optional(),
  /** Its issuer, or the address of its token endpoint. */
  server: z.string(),
  client: z.string(),
  grant: z.string(),
  scopes: z.array(z.string()),
  /** The secret that agents read. */
  secret: z.string(),
  tokens: z
    .object({
      fingerprint: z.string(),
      consentedAt: instant,
      /** Since when the refresh token is the same. */
      rotatedAt: instant,
      refreshedAt: instant,
      expiresAt: instant,
      /** When the next one is fetched. */
      refreshAt: instant,
      /** When a new consent is due, unless the server rotates by then. */
      consentDueAt: instant.optional(),
      scope: z.string().optional(),
    })
    .optional(),
  /** Somebody is at it. */
  attempt: z.object({ kind: z.string(), since: instant, until: instant }).optional(),
  /** Why it could not be refreshed. */
  trouble: z
    .object({ code: z.string(), since: instant, failures: z.number(), notBefore: instant })
    .optional(),
  paused: pauseView.optional(),
  /** The emergency that ended it; `pending`: the server has not confirmed it yet. */
  incident: z.object({ id: z.string(), since: instant, outcome: z.string() }).optional(),
  holders: z.array(holderView),
});
export type FamilyView = z.infer<typeof familyView>;

/** `GET /v1/families` */
export const familiesAnswer = z.object({ families: z.array(familyView), next: z.string().optional() });
export type FamiliesAnswer = z.infer<typeof familiesAnswer>;

/** The answer of everything that is about one family. */
export const familyAnswer = z.object({ family: familyView });
export type FamilyAnswer = z.infer<typeof familyAnswer>;

export const familyApplied = registerAnswer
  .pick({ outcome: true, dryRun: true, changes: true })
  .extend({ family: familyView.optional() });
export type FamilyApplied = z.infer<typeof familyApplied>;

/** `POST /v1/families/{name}/revocations` */
export const familyRevocation = z.strictObject({ incident, reason });

/** The answer of `pause` and of `unpause`; `changed` is false where it was so already. */
export const familyPaused = familyAnswer.extend({ changed: z.boolean() });
export type FamilyPaused = z.infer<typeof familyPaused>;

/** `POST /v1/families/{name}/unregister` */
export const familyLeaving = z.strictObject({ reason, dryRun: z.boolean().default(false) });

/** `GET /v1/families/{name}/diagnosis` */
export const familyDiagnosis = credentialDiagnosis.pick({ checks: true }).extend({ family: z.string() });
export type FamilyDiagnosis = z.infer<typeof familyDiagnosis>;

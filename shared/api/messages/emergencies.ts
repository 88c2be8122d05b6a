import * as z from 'zod';
import { incident, instant, reason } from './common.ts';

/** `POST /v1/emergencies` */
export const emergencyRequest = z.strictObject({
  /** Names or ids. With ids it starts even where the ledger doesn't answer. */
  credentials: z
    .array(z.string().min(1).max(128))
    .min(1, 'name at least one credential')
    // The list is in the execution's input, which holds 256 KiB.
    .max(1000, 'name at most 1,000 in one request; several may share the incident'),
  incident,
  reason,
  /** False: revoke only, agents stay halted. */
  replace: z.boolean().default(true),
});

export const emergencyStarted = z.object({
  id: z.string(),
  credentials: z.array(z.string()),
  /** Names that nobody could look up because the ledger did not answer: not part of this emergency. */
  unresolved: z.array(z.string()),
});
export type EmergencyStarted = z.infer<typeof emergencyStarted>;

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

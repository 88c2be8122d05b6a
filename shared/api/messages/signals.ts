import * as z from 'zod';
import { MAX_FINGERPRINTS, MAX_SIGNALS } from '../../domain/signals/signal.ts';
import { instant, reason } from './common.ts';

/** `POST /v1/signals`: what a scanner of yours has found, by fingerprints. The values themselves are never sent. */
export const signalRequest = z.strictObject({
  source: z.enum(['trufflehog']),
  findings: z
    .array(
      z.strictObject({
        fingerprints: z
          .array(z.string().regex(/^sha256:[0-9a-f]{64}$/, 'write sha256: and 64 hexadecimal digits'))
          .min(1)
          .max(MAX_FINGERPRINTS),
        /** The scanner has tried the value, and it works. */
        verified: z.boolean(),
      }),
    )
    .min(1)
    .max(MAX_SIGNALS),
  /** Only says what would be done. */
  dryRun: z.boolean().default(false),
});

const signalResult = z.object({
  /** `revoke`, `rotate`, `hold`, `by-hand`, `note`, `nothing`, `repeated` */
  act: z.string(),
  /** Names of the credentials that it is about. */
  credentials: z.array(z.string()),
  /** Names of the token families that it is about. */
  families: z.array(z.string()).optional(),
  /** Of the emergency, or of the signal that is held. */
  id: z.string().optional(),
});
export type SignalResult = z.infer<typeof signalResult>;

export const signalAnswer = z.object({
  dryRun: z.boolean(),
  /** As `findings` of the request. */
  results: z.array(signalResult),
});
export type SignalAnswer = z.infer<typeof signalAnswer>;

/** `POST /v1/held-signals/{id}/approvals` */
export const approvalRequest = z.strictObject({
  reason,
  /** Decides alone, once the time that is left for two has passed. */
  breakGlass: z.boolean().default(false),
});

/** `POST /v1/held-signals/{id}/denials` */
export const denialRequest = z.strictObject({ reason });

const vote = z.object({ actor: z.string(), at: instant, reason: z.string(), glass: z.boolean().optional() });

/** One value of a signal that is held. */
const heldValueView = z.object({
  /** Of its credential or token family. */
  name: z.string(),
  /**
   * `suspended`: whoever holds it is refused. `works`: it is NOT suspended, and works until it is decided. `ended`: it has ended meanwhile,
   * by a rotation or an emergency.
   */
  state: z.string(),
  /** Why it works. */
  why: z.string().optional(),
});
export type HeldValueView = z.infer<typeof heldValueView>;

const heldSignalView = z.object({
  id: z.string(),
  source: z.string(),
  /** Who has sent it, and doesn't approve it. */
  reporter: z.string(),
  why: z.string(),
  url: z.string().optional(),
  heldAt: instant,
  /** From then on one responder may decide alone. */
  glassAt: instant,
  /** Names of what an approval revokes. */
  credentials: z.array(z.string()),
  /** Names of the token families that it ends as well. */
  families: z.array(z.string()).optional(),
  /** What was found is suspended until it is decided, where its provider can. */
  suspends: z.boolean().optional(),
  /** How each of them stands until it is decided; absent once it is, and in answers of older versions. */
  values: z.array(heldValueView).optional(),
  /** `held`, `approved` (its emergency has the same id) or `denied` */
  status: z.string(),
  approvals: z.array(vote),
  denial: vote.optional(),
});
export type HeldSignalView = z.infer<typeof heldSignalView>;

export const heldSignalAnswer = z.object({ signal: heldSignalView });
export type HeldSignalAnswer = z.infer<typeof heldSignalAnswer>;

/** `GET /v1/held-signals`: those that nobody has decided on, the longest held first. */
export const heldSignalsAnswer = z.object({ signals: z.array(heldSignalView) });
export type HeldSignalsAnswer = z.infer<typeof heldSignalsAnswer>;

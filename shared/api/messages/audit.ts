import * as z from 'zod';
import { day, instant } from './common.ts';

/** The query of `GET /v1/audit` */
export const auditQuery = z.strictObject({
  from: day.optional(),
  to: day.optional(),
  /** Name or id. */
  credential: z.string().min(1).max(128).optional(),
  /** `next` of the answer before. */
  page: z
    .string()
    .regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'pass the `next` of the page before')
    .optional(),
});

const chainFault = z.object({ credentialId: z.string(), seq: z.number(), fault: z.string() });

const auditedRotation = z.object({
  credential: z.string(),
  credentialId: z.string(),
  /** Id of the rotation, or of the incident for an emergency's replacement. */
  rotation: z.string(),
  trigger: z.string(),
  reason: z.string(),
  actor: z.string(),
  rotatedAt: instant,
  oldFingerprint: z.string(),
  newFingerprint: z.string(),
  oldHandle: z.string(),
  /**
   * `completed`, `kept`, `rolled-back`, `preempted`, or while no record says how it ended `open`, or `awaiting-operator` where
   * only a person can end the old one.
   */
  outcome: z.string(),
  /** When it ended so, which may be after the span. */
  endedAt: instant.optional(),
  /** The credential that this rotation ends: the old one, or after a rollback the new one. */
  deactivatedAt: instant.optional(),
  deactivation: z.string(),
});
export type AuditedRotation = z.infer<typeof auditedRotation>;

/** Something else than a rotation that the records tell. */
const auditEvent = z.object({
  credential: z.string(),
  credentialId: z.string(),
  /** Number of the record. */
  seq: z.number(),
  at: instant,
  /** An open set: newer versions have more. */
  action: z.string(),
  trigger: z.string(),
  actor: z.string(),
  /** Its beginning, where it is long. */
  reason: z.string(),
  incident: z.string(),
  /** The rotation, the request or the emergency that it belongs to; empty where it belongs to none. */
  rotation: z.string(),
  /** Of the value that it is about, as far as recorded. */
  fingerprint: z.string(),
  /** `CONFIRMED` or `NOT CONFIRMED` where something was deactivated, else empty. */
  deactivation: z.string(),
  /** From its evidence, in words. */
  detail: z.string().optional(),
});
export type AuditEvent = z.infer<typeof auditEvent>;

/** A page's unfinished ends, from which pages are joined. */
const auditRest = z.object({
  /** Runs of records without a gap. */
  runs: z.array(
    z.object({
      credentialId: z.string(),
      first: z.number(),
      last: z.number(),
      previous: z.string(),
      hash: z.string(),
    }),
  ),
  endings: z.array(
    z.object({
      credentialId: z.string(),
      rotation: z.string(),
      /** Of the credential that ended, as far as recorded. */
      fingerprint: z.string(),
      handles: z.array(z.string()),
      seq: z.number(),
      at: instant,
      outcome: z.string(),
      deactivation: z.string(),
    }),
  ),
  heads: z
    .array(
      z.object({
        credentialId: z.string(),
        seq: z.number(),
        chain: z.string(),
        registeredAt: instant,
        updatedAt: instant,
      }),
    )
    .optional(),
});
export type AuditRest = z.infer<typeof auditRest>;

export const auditAnswer = z.object({
  from: day,
  to: day,
  records: z.number(),
  rotations: z.array(auditedRotation),
  /** What else happened, by time. Absent in answers of older deployments. */
  events: z.array(auditEvent).optional(),
  /**
   * Token families of which records are among the events, without refreshes by the clock. Each record is checked by itself; the
   * chain of one is checked where it is asked for by its name. Absent where there are none.
   */
  families: z.array(z.object({ family: z.string(), familyId: z.string(), records: z.number() })).optional(),
  chain: z.object({
    checked: z.number(),
    faults: z.array(chainFault),
    /** Credentials whose chain was held against the head in the ledger, that of an unregistered one included, so that nothing is missing at its end. */
    complete: z.number(),
    /** Credentials of which records are checked here. Absent in answers of older deployments, as is `later`. */
    chains: z.number().optional(),
    /** Those of them whose chain goes on after the span, so that the answer doesn't hold its end. */
    later: z.number().optional(),
    /**
     * Where each of them ends in the span: what a copy of the archive has to hold. Absent in answers of older deployments, and until
     * pages are joined.
     */
    ends: z.array(z.object({ credentialId: z.string(), seq: z.number(), hash: z.string() })).optional(),
  }),
  /** Only where the span takes more than one page: pass it to `joinAudit` with the other pages. */
  rest: auditRest.optional(),
  next: z.string().optional(),
});
export type AuditAnswer = z.infer<typeof auditAnswer>;

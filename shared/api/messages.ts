import * as z from 'zod';

/**
 * Requests and answers of the control API, version 1. Requests are strict: an unknown key is an error. Answers may
 * grow: readers ignore what they don't know and treat words such as phases as open sets, so that an older `rekey`
 * works with a newer deployment.
 */
export const API_VERSION = 'v1';

/** Carries a UUID that the caller chose; a repeated POST with the same one joins what the first began. */
export const IDEMPOTENCY_HEADER = 'idempotency-key';

/** Largest body that the API reads, in bytes. */
export const MAX_BODY_BYTES = 256 * 1024;

const instant = z.string();
const reason = z.string().min(1, 'say why').max(1000);

/** A calendar day in UTC. */
export const day = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'write a date as YYYY-MM-DD')
  .refine((text) => isRealDay(text), 'there is no such day');

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00.000Z`);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(text);
}

// --- requests

/** `POST /v1/credentials` */
export const registerRequest = z.strictObject({
  /** One entry of a declaration file; checked by `parseEntry`. */
  declaration: z.record(z.string(), z.unknown()),
  dryRun: z.boolean().default(false),
});

/** `POST /v1/credentials/{name}/rotations` and `…/rollback` */
export const reasonRequest = z.strictObject({ reason: reason.optional() });

/** `POST /v1/credentials/{name}/rotations/{id}/confirmations` */
export const confirmRequest = z.strictObject({
  /** Name of the holder that has moved. */
  holder: z.string().min(1).max(128),
  reason: reason.optional(),
});

/** `POST /v1/emergencies` */
export const emergencyRequest = z.strictObject({
  /** Names or ids. With ids it starts even where the ledger doesn't answer. */
  credentials: z
    .array(z.string().min(1).max(128))
    .min(1, 'name at least one credential')
    // Some 46 events each in the history of one execution, which must stay under 10,000.
    .max(200, 'name at most 200 in one request; several may share the incident'),
  incident: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      'use letters, digits, dots, underscores and hyphens, at most 64',
    ),
  reason,
  /** False: revoke only, agents stay halted. */
  replace: z.boolean().default(true),
});

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

/** The query of `GET /v1/credentials` and of `GET /v1/plan` */
export const listQuery = z.strictObject({ page: z.string().max(4096).optional() });

/** The query of `GET /v1/inventory` */
export const inventoryQuery = z.strictObject({
  /** What the names of the secrets begin with. */
  prefix: z.string().min(1).max(512).optional(),
  page: z.string().max(4096).optional(),
});

// --- answers

const handle = z.object({ id: z.string(), generation: z.number() });

/** A key by what may be known of it. */
export const keyView = z.object({
  fingerprint: z.string(),
  handle,
  /** Version of the secret that carries it. */
  version: z.string(),
  issuedAt: instant,
});
export type KeyView = z.infer<typeof keyView>;

export const rotationView = z.object({
  id: z.string(),
  phase: z.string(),
  /** True once nothing happens any more. */
  over: z.boolean(),
  /** True where somebody was paged because it needs a person. */
  stuck: z.boolean(),
  /** Whether `rekey rollback` can still bring the old credential back. */
  canRollBack: z.boolean(),
  /** Given up: no step accepts it any more. */
  tombstoned: z.boolean(),
  trigger: z.object({ kind: z.string(), actor: z.string(), reason: z.string().optional() }),
  old: keyView.optional(),
  next: keyView.optional(),
  /** Which of the two dies at the end: `old`, or after a rollback `next`. */
  loser: z.string(),
  window: z
    .object({
      opensAt: instant,
      earliestClose: instant,
      deadline: instant,
      cap: instant,
      overdue: z.boolean().optional(),
    })
    .optional(),
  /** What the holders' proof still lacks in an open window, in words. */
  missing: z.array(z.string()).optional(),
  suspendedAt: instant.optional(),
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
  incidentId: z.string().optional(),
  /** Who asked for its rollback. */
  rollback: z.object({ actor: z.string(), reason: z.string().optional(), at: instant }).optional(),
  startedAt: instant,
  updatedAt: instant,
});
export type RotationView = z.infer<typeof rotationView>;

/** Durations as a declaration writes them. */
export const policyView = z.object({
  interval: z.string(),
  window: z.string(),
  deadline: z.string(),
  cap: z.string(),
  soak: z.string(),
  announce: z.string(),
  atDeadline: z.string(),
  access: z.string(),
  sensitivity: z.string(),
  exception: z.object({ reason: z.string(), expires: z.string() }).optional(),
});

export const holderView = z.object({
  kind: z.string(),
  name: z.string(),
  /** `none` where the kind has none: a reader of the first version expects a text. */
  ttl: z.string(),
  /** What is looked at for its proof: a service or a function. */
  watched: z.string().optional(),
  agents: z.number().optional(),
  principal: z.string().optional(),
});
export type HolderView = z.infer<typeof holderView>;

/** Something about a policy that somebody should look at. */
const finding = z.object({
  /** The same for the same finding. */
  key: z.string(),
  text: z.string(),
});

export const credentialView = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  provider: z.string(),
  status: z.string(),
  mode: z.string(),
  secret: z.object({ name: z.string(), arn: z.string().optional() }),
  /** Empty where none is declared, which only what is observed may do. */
  admin: z.string(),
  /** How far something that existed before Rekey has been taken over; absent where Rekey made it. */
  adoption: z.enum(['observed', 'intended', 'adopted']).optional(),
  /** What a person types at the upstream to revoke it, while Rekey may not. */
  byHand: z.string().optional(),
  /** Without certificates. */
  target: z.unknown(),
  /** What agents read. Absent while registering and after a revocation. */
  current: keyView.optional(),
  policy: policyView,
  /** When the policy wants the next rotation to have happened. */
  dueAt: instant.optional(),
  /** What stands out about the policy. Absent in answers of older deployments. */
  findings: z.array(finding).optional(),
  holders: z.array(holderView),
  /** The one that is not yet over. */
  rotation: rotationView.optional(),
  /** The newest emergency, as long as its agents are halted. */
  emergency: z
    .object({
      incident: z.string(),
      /** For `GET /v1/emergencies/{id}`. */
      id: z.string().optional(),
      began: instant.optional(),
      actor: z.string().optional(),
      reason: z.string().optional(),
      /** How far it has come: `intended`, `revoked`, `halted`, `generated`, `validated`, `replaced`. */
      stage: z.string(),
    })
    .optional(),
  tenant: z.string(),
  account: z.string(),
  region: z.string(),
  registeredAt: instant,
  updatedAt: instant,
});
export type CredentialView = z.infer<typeof credentialView>;

export const listAnswer = z.object({ credentials: z.array(credentialView), next: z.string().optional() });
export type ListAnswer = z.infer<typeof listAnswer>;

export const showAnswer = z.object({
  credential: credentialView,
  /** Newest first. */
  rotations: z.array(rotationView),
  /** What a person types at the upstream on a day when Rekey is down. Absent in answers of older deployments. */
  manualRevocation: z.array(z.object({ handle, text: z.string() })).optional(),
});
export type ShowAnswer = z.infer<typeof showAnswer>;

export const planEntry = z.object({
  credential: z.string(),
  credentialId: z.string(),
  mode: z.string(),
  status: z.string(),
  /** When the planner starts the next rotation; absent where it won't, and `notPlanned` says why. */
  starts: instant.optional(),
  notPlanned: z.string().optional(),
  /** By then the policy wants it to have happened. Absent where there is no current version. */
  deadline: instant.optional(),
  /** The interval that counts now, and what set it. */
  why: z.string(),
  /** Planned rotations of the current version that were aborted. */
  attempts: z.number(),
  findings: z.array(finding),
});
export type PlanEntry = z.infer<typeof planEntry>;

export const planAnswer = z.object({ plan: z.array(planEntry), next: z.string().optional() });
export type PlanAnswer = z.infer<typeof planAnswer>;

const change = z.object({ field: z.string(), from: z.unknown(), to: z.unknown() });
export type Change = z.infer<typeof change>;

const notice = z.object({ field: z.string(), message: z.string(), remedy: z.string() });
export type Notice = z.infer<typeof notice>;

export const registerAnswer = z.object({
  outcome: z.string(),
  dryRun: z.boolean(),
  changes: z.array(change),
  /** What is not refused but may be a mistake. */
  notices: z.array(notice).default([]),
  credential: credentialView.optional(),
});
export type RegisterAnswer = z.infer<typeof registerAnswer>;

export const rotateAnswer = z.object({
  rotation: rotationView,
  /** True where the same request had begun it already. */
  joined: z.boolean(),
});
export type RotateAnswer = z.infer<typeof rotateAnswer>;

export const rotationAnswer = z.object({ rotation: rotationView });
export type RotationAnswer = z.infer<typeof rotationAnswer>;

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
  /** `completed`, `kept`, `rolled-back`, `preempted`, or `open` while no record says how it ended. */
  outcome: z.string(),
  /** When it ended so, which may be after the span. */
  endedAt: instant.optional(),
  /** The credential that this rotation ends: the old one, or after a rollback the new one. */
  deactivatedAt: instant.optional(),
  deactivation: z.string(),
});
export type AuditedRotation = z.infer<typeof auditedRotation>;

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
  chain: z.object({
    checked: z.number(),
    faults: z.array(chainFault),
    /** Credentials whose chain was held against the head in the ledger, so that nothing is missing at its end. */
    complete: z.number(),
  }),
  /** Only where the span takes more than one page: pass it to `joinAudit` with the other pages. */
  rest: auditRest.optional(),
  next: z.string().optional(),
});
export type AuditAnswer = z.infer<typeof auditAnswer>;

/**
 * Whether a text can only be, or very likely is, a credential's id rather than its name: ids are opaque, names are
 * lower-case words. Decides what an emergency may start with while the ledger doesn't answer.
 */
export function looksLikeId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(text);
}

/** `GET /v1/inventory`: secrets of the account, with the form of their values where that may be looked at. */
export const inventoryAnswer = z.object({
  secrets: z.array(
    z.object({
      name: z.string(),
      arn: z.string(),
      tags: z.record(z.string(), z.string()),
      registered: z.boolean(),
      owningService: z.string().optional(),
      rotationFunction: z.string().optional(),
      lastAccessed: instant.optional(),
      lastChanged: instant.optional(),
      shape: z.discriminatedUnion('kind', [
        z.object({
          kind: z.literal('json'),
          keys: z.array(z.string()),
          engine: z.string().optional(),
          host: z.string().optional(),
          port: z.number().optional(),
          database: z.string().optional(),
          username: z.string().optional(),
        }),
        z.object({ kind: z.literal('text') }),
        z.object({ kind: z.literal('unknown'), why: z.string() }),
      ]),
    }),
  ),
  /** The `page` of the next request; absent at the end. */
  next: z.string().optional(),
});
export type InventoryAnswer = z.infer<typeof inventoryAnswer>;

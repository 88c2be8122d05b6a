import * as z from 'zod';
import { finding, handle, instant, keyView, operatorView, pauseView, readerView } from './common.ts';
import { rotationView } from './rotations.ts';

/** `POST /v1/credentials` */
export const registerRequest = z.strictObject({
  /** One entry of a declaration file; checked by `parseEntry`. */
  declaration: z.record(z.string(), z.unknown()),
  dryRun: z.boolean().default(false),
});

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
  /** `holders`: what they prove is enough where the upstream tells of no use. */
  evidenceOfUse: z.string().optional(),
  canary: z.object({ percent: z.number(), for: z.string() }).optional(),
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
  /** Of an agent of kind client: those that are told together. */
  fleet: z.string().optional(),
  /** It has no secret: it checks what others prove themselves with. Absent elsewhere. */
  verifies: z.literal(true).optional(),
});
export type HolderView = z.infer<typeof holderView>;

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
  /** Which rotation goes before the one that is due, where it was put off for one. */
  waitsFor: z.string().optional(),
  /** Since when it has been put off. */
  waitsSince: instant.optional(),
  /** What stands out about the policy. Absent in answers of older deployments. */
  findings: z.array(finding).optional(),
  holders: z.array(holderView),
  /** The one that is not yet over. */
  rotation: rotationView.optional(),
  /** Of an administrative credential of Rekey's own: who answers for it, and how it is replaced. */
  root: z
    .object({
      owner: z.string(),
      scope: z.string(),
      /** `rekey`: Rekey rotates it. `by-hand`: a person does, by `dueAt`; `revoked`: a person does, now. */
      how: z.string(),
      /** What the person does, in order; empty where Rekey rotates it. */
      steps: z.array(z.string()),
      /** From when on the person is asked to. */
      taskSince: instant.optional(),
    })
    .optional(),
  /** Who paused it and why; absent where nobody did. */
  paused: pauseView.optional(),
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
      /** It waits for a person to end something at the upstream, by hand. Absent where it doesn't. */
      awaitsOperator: operatorView.optional(),
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
  /** Who was seen to use it in the last 90 days, the latest first. Absent in answers of older deployments. */
  readers: z.array(readerView).optional(),
});
export type ShowAnswer = z.infer<typeof showAnswer>;

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

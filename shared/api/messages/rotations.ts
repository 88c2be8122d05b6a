import * as z from 'zod';
import { instant, keyView, operatorView, pauseView, reason } from './common.ts';

/** `POST /v1/credentials/{name}/rotations/{id}/rollback` */
export const reasonRequest = z.strictObject({ reason: reason.optional() });

/** `POST /v1/credentials/{name}/rotations` */
export const rotateRequest = z.strictObject({
  reason: reason.optional(),
  /** Doesn't wait for the gap between sessions; one that waits for it begins. */
  now: z.boolean().optional(),
});

/** `POST /v1/credentials/{name}/rotations/{id}/confirmations` */
export const confirmRequest = z.strictObject({
  /** Name of the holder that has moved; without one it is that what only a person can end has been ended. */
  holder: z.string().min(1).max(128).optional(),
  reason: reason.optional(),
});

/** Instances by name, at most ten of them. */
const instances = z.object({ names: z.array(z.string()), more: z.number() });

/** How far an agent is in an open window, its sub-agents included. */
export const clientView = z.object({
  name: z.string(),
  sessions: z.number(),
  moved: z.number(),
  waiting: instances,
  lost: instances,
  contradicted: instances,
  /** Uses that were reported of late and just before the window. */
  authentication: z
    .object({
      succeeded: z.number(),
      refused: z.number(),
      before: z.object({ succeeded: z.number(), refused: z.number() }),
      risen: z.boolean(),
    })
    .optional(),
});
export type ClientView = z.infer<typeof clientView>;

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
  /** The pause that has stopped it: deadline and cap of its window don't count until that ends. Absent where none has. */
  paused: pauseView.optional(),
  /** What the holders' proof still lacks in an open window, in words. */
  missing: z.array(z.string()).optional(),
  /** Why it was announced and hasn't begun: agents in session that can't change a value within it. */
  deferred: z.object({ since: instant, until: instant, agents: z.array(z.string()) }).optional(),
  /** In an open window: how far the agents of kind client are. */
  clients: z.array(clientView).optional(),
  /** What was seen of the instances that moved first: `quiet` or `unproven`. */
  canary: z.object({ at: instant, outcome: z.string() }).optional(),
  /** It waits for a person to end something at the upstream, by hand. Absent where it doesn't. */
  awaitsOperator: operatorView.optional(),
  suspendedAt: instant.optional(),
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
  incidentId: z.string().optional(),
  /** Who asked for its rollback. */
  rollback: z.object({ actor: z.string(), reason: z.string().optional(), at: instant }).optional(),
  startedAt: instant,
  updatedAt: instant,
});
export type RotationView = z.infer<typeof rotationView>;

export const rotateAnswer = z.object({
  rotation: rotationView,
  /** True where the same request had begun it already. */
  joined: z.boolean(),
  /** Other credentials that the planner would have waited for, in words. Absent in answers of older deployments. */
  beside: z.array(z.string()).optional(),
});
export type RotateAnswer = z.infer<typeof rotateAnswer>;

export const rotationAnswer = z.object({ rotation: rotationView });
export type RotationAnswer = z.infer<typeof rotationAnswer>;

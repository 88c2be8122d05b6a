import * as z from 'zod';
import { instant, keyView, pauseView, reason } from './common.ts';

/** `POST /v1/credentials/{name}/rotations` and `…/rollback` */
export const reasonRequest = z.strictObject({ reason: reason.optional() });

/** `POST /v1/credentials/{name}/rotations/{id}/confirmations` */
export const confirmRequest = z.strictObject({
  /** Name of the holder that has moved. */
  holder: z.string().min(1).max(128),
  reason: reason.optional(),
});

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
});
export type RotateAnswer = z.infer<typeof rotateAnswer>;

export const rotationAnswer = z.object({ rotation: rotationView });
export type RotationAnswer = z.infer<typeof rotationAnswer>;

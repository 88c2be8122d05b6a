import * as z from 'zod';
import { handle, reason } from './common.ts';
import { credentialView } from './credentials.ts';

/** `POST /v1/credentials/{name}/pause` */
export const pauseRequest = z.strictObject({ reason });

/** The answer of `pause` and of `unpause`. */
export const pauseAnswer = z.object({
  credential: credentialView,
  /** False where it was so already. */
  changed: z.boolean(),
  /**
   * Whether Secrets Manager's own schedule follows: `aligned`, or `later` while the four steps of a rotation are under
   * way, after which the same request brings it in line.
   */
  backstop: z.string(),
});
export type PauseAnswer = z.infer<typeof pauseAnswer>;

/** `POST /v1/credentials/{name}/unregister` */
export const unregisterRequest = z.strictObject({
  reason,
  dryRun: z.boolean().default(false),
  /** Also where nobody could confirm that an emergency has ended its logins. */
  unconfirmed: z.boolean().default(false),
});

export const unregisterAnswer = z.object({
  /** `unregistered`, or `unchanged` where that was done before. */
  outcome: z.string(),
  dryRun: z.boolean(),
  name: z.string(),
  /** Under which its audit trail is found from now on. */
  id: z.string(),
  /** Logins beside the current one that go on working at the upstream. */
  alive: z.array(handle),
  /** Logins that an emergency was to end, and that may go on working. Absent in what older versions answer. */
  unconfirmed: z.array(handle).optional(),
});
export type UnregisterAnswer = z.infer<typeof unregisterAnswer>;

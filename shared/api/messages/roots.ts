import * as z from 'zod';
import { reason } from './common.ts';
import { credentialView } from './credentials.ts';

/** `POST /v1/credentials/{name}/confirmations` */
export const confirmRootRequest = z.strictObject({
  reason: reason.optional(),
  dryRun: z.boolean().default(false),
});

export const confirmRootAnswer = z.object({
  /** `confirmed`, or `unchanged` where the value on record is the one that is there. */
  outcome: z.string(),
  dryRun: z.boolean(),
  credential: credentialView,
  /** Credentials whose upstream was seen to let the new value in as the administrator. */
  letIn: z.array(z.string()),
});
export type ConfirmRootAnswer = z.infer<typeof confirmRootAnswer>;

import * as z from 'zod';
import { incident, instant, reason } from './common.ts';

/** `POST /v1/agents/{agent}/decommission` */
export const decommissionRequest = z.strictObject({
  incident,
  reason,
  /** Says what it has, and changes nothing. */
  dryRun: z.boolean().default(false),
});

export const decommissionAnswer = z.object({
  dryRun: z.boolean(),
  /** False where it was out of service before. */
  changed: z.boolean(),
  agent: z.string(),
  /** Since when it is out of service, and by whom; of a dry run, what would stand there. */
  at: instant,
  actor: z.string(),
  /** Declarations that name it as a holder. `alone`: nobody else holds that credential, and nothing is kept under it. */
  held: z.array(z.object({ credential: z.string(), kind: z.string(), alone: z.boolean() })),
  families: z.array(z.string()),
  /** Agents that it hands something to, and that hand something to it. */
  handsTo: z.array(z.string()),
  handedBy: z.array(z.string()),
  /** ARNs of the roles and users that it runs as. */
  principals: z.array(z.string()),
});
export type DecommissionAnswer = z.infer<typeof decommissionAnswer>;

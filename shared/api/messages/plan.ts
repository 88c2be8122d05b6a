import * as z from 'zod';
import { finding, instant } from './common.ts';

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
  /** Which rotation goes before it, where it was put off for one. */
  waitsFor: z.string().optional(),
  /** Since when it has been put off. Absent in answers of older deployments. */
  waitsSince: instant.optional(),
  /** Planned rotations of the current version that were aborted. */
  attempts: z.number(),
  findings: z.array(finding),
});
export type PlanEntry = z.infer<typeof planEntry>;

export const planAnswer = z.object({ plan: z.array(planEntry), next: z.string().optional() });
export type PlanAnswer = z.infer<typeof planAnswer>;

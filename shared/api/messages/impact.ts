import * as z from 'zod';
import { instant } from './common.ts';

const moment = z.object({ milestone: z.string(), at: instant, text: z.string() });
export type MomentView = z.infer<typeof moment>;

/** `GET /v1/credentials/{name}/impact`: what a rotation would do. It is a prediction: its steps are taken to need no time. */
export const impactAnswer = z.object({
  credential: z.string(),
  credentialId: z.string(),
  mode: z.string(),
  /** The instant that it is predicted for. */
  at: instant,
  /** Why a rotation would not be started now; empty where it would. */
  refusals: z.array(
    z.object({
      code: z.string(),
      message: z.string(),
      field: z.string().optional(),
      remedy: z.string().optional(),
    }),
  ),
  /** Everybody who is declared to use it. */
  affected: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      agents: z.number(),
      /** How it comes to the new credential. */
      how: z.string(),
      /** When it has moved at the latest, if the rotation started now; absent where no clock says it. */
      movedBy: instant.optional(),
    }),
  ),
  agents: z.number(),
  now: z.array(moment),
  /** As the planner will start it; absent where it won't, and `notPlanned` says why. */
  planned: z.object({ startsAt: instant, moments: z.array(moment) }).optional(),
  notPlanned: z.string().optional(),
  irreversible: z.array(z.object({ text: z.string(), from: instant.optional() })),
  also: z.array(z.string()),
  unknown: z.array(z.string()),
});
export type ImpactAnswer = z.infer<typeof impactAnswer>;

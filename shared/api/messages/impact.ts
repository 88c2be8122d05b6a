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
  /** Other credentials that it would go beside, for which the planner waits. Absent in answers of older deployments. */
  beside: z.array(z.string()).optional(),
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
  /** Agents of kind client, with their sub-agents: who is in session now. Absent in answers of older deployments. */
  inSession: z
    .array(
      z.object({
        name: z.string(),
        /** Who hands it the credential, where it is a sub-agent. */
        from: z.string().optional(),
        sessions: z.number(),
        /** `in-session` or `between-sessions`, by its pact; absent without one. */
        refresh: z.string().optional(),
        /** Sessions that can't change the value, the longest first: their tasks are at risk. */
        atRisk: z.array(z.object({ instance: z.string(), since: instant })),
      }),
    )
    .optional(),
  /** How long it would wait for the gap between sessions, if it were asked for now. */
  deferral: z.object({ agents: z.array(z.string()), begins: instant, until: instant }).optional(),
  /** What the upstream allows beside each other. Absent in answers of older deployments. */
  limits: z.array(z.string()).optional(),
  now: z.array(moment),
  /** As the planner will start it; absent where it won't, and `notPlanned` says why. */
  planned: z.object({ startsAt: instant, moments: z.array(moment) }).optional(),
  notPlanned: z.string().optional(),
  irreversible: z.array(z.object({ text: z.string(), from: instant.optional() })),
  also: z.array(z.string()),
  unknown: z.array(z.string()),
});
export type ImpactAnswer = z.infer<typeof impactAnswer>;

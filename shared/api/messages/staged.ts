import * as z from 'zod';
import { incident, reason } from './common.ts';
import { select } from './emergencies.ts';

/** `POST /v1/rotations`: a staged rotation of each credential of a selection. */
export const stagedRequest = z.strictObject({
  select,
  incident,
  reason,
  /** Says what would be done, and starts nothing. */
  dryRun: z.boolean().default(false),
});

const stagedStep = z.object({
  credential: z.string(),
  credentialId: z.string(),
  type: z.string(),
  provider: z.string(),
  /**
   * `started`; of a dry run `start`; `joined`: one under way does it; `refused`: not now, the same order again does it; `by-hand`: a
   * person does it.
   */
  act: z.string(),
  /** Why it is among them. */
  why: z.array(z.string()),
  rotation: z.string().optional(),
  /** Why it was not started, and what to do about that. */
  text: z.string().optional(),
  remedy: z.string().optional(),
  /** Other credentials that it goes beside, in words. */
  beside: z.array(z.string()),
  /** What a rotation of it leaves to a person, in words. */
  tasks: z.array(z.string()),
});
export type StagedStep = z.infer<typeof stagedStep>;

export const stagedAnswer = z.object({
  dryRun: z.boolean(),
  steps: z.array(stagedStep),
  /** Token families that belong to it: they live by a consent, and a person does what is to be done. */
  families: z.array(z.object({ family: z.string(), why: z.string(), remedy: z.string() })),
  unknown: z.array(z.string()),
  /** How many had no turn in the time of one request: the same request goes on. */
  left: z.number(),
});
export type StagedAnswer = z.infer<typeof stagedAnswer>;

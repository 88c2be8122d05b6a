import * as z from 'zod';
import type { Pact } from '../../domain/agents.ts';
import { instant } from './common.ts';

/** `POST /v1/pacts`: a pact, as an operator registers it for an agent. */
export const applyPactRequest = z.strictObject({
  pact: z.unknown(),
  dryRun: z.boolean().default(false),
});

export const pactView = z.object({
  agent: z.string(),
  version: z.number(),
  credentials: z.array(
    z.object({
      credential: z.string(),
      refresh: z.string(),
      ttlSeconds: z.number(),
      staleLimitSeconds: z.number(),
      uses: z.string(),
      usesPerHour: z.number().optional(),
      delegates: z.array(z.string()),
    }),
  ),
  checkpoint: z.boolean(),
  sessionLimitSeconds: z.number(),
  actor: z.string().describe('Who registered it'),
  registeredAt: instant,
  /** It is out of service since then. */
  decommissioned: z
    .object({ at: instant, actor: z.string(), reason: z.string(), incidentId: z.string() })
    .optional(),
});
export type PactView = z.infer<typeof pactView>;

export const applyPactAnswer = z.object({
  /** `registered` or `unchanged`. */
  outcome: z.string(),
  dryRun: z.boolean(),
  pact: pactView,
});
export type ApplyPactAnswer = z.infer<typeof applyPactAnswer>;

export const pactsAnswer = z.object({ pacts: z.array(pactView), next: z.string().optional() });
export type PactsAnswer = z.infer<typeof pactsAnswer>;

const sessionView = z.object({
  id: z.string(),
  /** As the instance calls itself. */
  instance: z.string(),
  /** `running`, `lost` or `closed`. */
  state: z.string(),
  openedAt: instant,
  seenAt: instant,
  holds: z.array(z.object({ credential: z.string(), version: z.string() })),
});
export type SessionView = z.infer<typeof sessionView>;

export const pactShownAnswer = z.object({
  pact: pactView,
  /** How many sessions count, of which the newest are shown. */
  total: z.number(),
  sessions: z.array(sessionView),
});
export type PactShownAnswer = z.infer<typeof pactShownAnswer>;

/** A pact as it is shown. */
export function viewOfPact({ credentials, ...pact }: Pact): PactView {
  return { ...pact, credentials: credentials.map((each) => ({ ...each, delegates: [...each.delegates] })) };
}

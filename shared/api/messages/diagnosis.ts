import * as z from 'zod';
import { instant } from './common.ts';

/** One check with what it came to: `ok`, `warn`, `fail` or `not-checked`. */
export const check = z.object({
  area: z.string(),
  name: z.string(),
  state: z.string(),
  detail: z.string(),
  /** What to do about it; absent where it is ok. */
  remedy: z.string().optional(),
});

/** The deployment as its own functions see it. */
export const deploymentDiagnosis = z.object({
  /** Version of the API. */
  version: z.string(),
  checks: z.array(check),
});
export type DeploymentDiagnosis = z.infer<typeof deploymentDiagnosis>;

/** One credential as the functions that work with it see it. */
export const credentialDiagnosis = z.object({
  credential: z.string(),
  checks: z.array(check),
  /** What becomes of it while Rekey is stopped; without `failsAt` nobody fails. Absent in answers of older deployments. */
  outage: z.object({ failsAt: instant.optional(), why: z.string() }).optional(),
  /** Ids at the upstream that are its own. Absent in answers of older deployments. */
  held: z.array(z.string()).optional(),
  /** All that exists there for its owner, whoever made it; absent where the upstream can't be looked through. */
  survey: z
    .object({
      owner: z.string(),
      credentials: z.array(
        z.object({
          id: z.string(),
          name: z.string().optional(),
          createdAt: instant.optional(),
          lastUsed: instant.nullish(),
        }),
      ),
    })
    .optional(),
});
export type CredentialDiagnosis = z.infer<typeof credentialDiagnosis>;

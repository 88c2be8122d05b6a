import * as z from 'zod';

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
export const credentialDiagnosis = z.object({ credential: z.string(), checks: z.array(check) });
export type CredentialDiagnosis = z.infer<typeof credentialDiagnosis>;

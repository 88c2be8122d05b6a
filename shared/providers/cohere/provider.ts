import * as z from 'zod';
import type { KeyMaterial } from '../http/material.ts';
import { poolProvider } from '../http/pool-provider.ts';
import { targetOf, upstreamId, type KeyTarget } from '../http/target.ts';
import type { CredentialProvider } from '../provider.ts';

interface CohereTarget extends KeyTarget {
  /** The organization's id. */
  readonly organization: string;
}

/** A key that isn't valid is told of as such, or refused. */
const answer = z
  .object({ valid: z.boolean(), organization_id: z.string().nullish() })
  .transform(({ valid, organization_id: organization }) => ({
    valid,
    scope: organization ? [organization] : [],
  }));

/** Cohere: keys are made and deleted at its dashboard alone. The administrative secret is `{"pool": [{"id": …, "value": …}, …]}`. */
export const cohereProvider: CredentialProvider<CohereTarget, KeyMaterial> = poolProvider<CohereTarget>({
  key: 'llm-key/cohere',
  name: 'Cohere',
  baseUrl: 'https://api.cohere.com/v1',
  console: 'https://dashboard.cohere.com/api-keys',
  ...targetOf({ organization: upstreamId }),
  owner: ({ organization }) => organization,
  scope: ({ organization }) => [organization],
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),
  identify: () => ({ method: 'POST', path: '/check-api-key', answer }),
});

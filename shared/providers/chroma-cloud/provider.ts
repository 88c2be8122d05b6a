import * as z from 'zod';
import type { KeyMaterial } from '../http/material.ts';
import { poolProvider } from '../http/pool-provider.ts';
import { targetOf, upstreamId, type KeyTarget } from '../http/target.ts';
import type { CredentialProvider } from '../provider.ts';

interface ChromaTarget extends KeyTarget {
  /** The tenant's id. */
  readonly tenant: string;
  /** What its keys may reach; `*` for all of the tenant, which nobody gets without saying so. */
  readonly databases: readonly string[];
}

const answer = z
  .object({ tenant: z.string(), databases: z.array(z.string()) })
  .transform((said) => ({ valid: true, scope: scopeOf(said) }));

/** Chroma Cloud: keys are made and deleted at its dashboard alone. The administrative secret is `{"pool": [{"id": …, "value": …}, …]}`. */
export const chromaCloudProvider: CredentialProvider<ChromaTarget, KeyMaterial> = poolProvider<ChromaTarget>({
  key: 'vector-database-key/chroma-cloud',
  name: 'Chroma Cloud',
  baseUrl: 'https://api.trychroma.com',
  console: 'https://www.trychroma.com',
  ...targetOf({
    tenant: upstreamId,
    databases: z
      .array(z.union([z.literal('*'), upstreamId]))
      .min(1)
      .max(64),
  }),
  owner: ({ tenant }) => tenant,
  scope: scopeOf,
  agentHeaders: (value) => ({ 'x-chroma-token': value }),
  identify: () => ({ method: 'GET', path: '/api/v2/auth/identity', answer }),
});

function scopeOf({ tenant, databases }: Pick<ChromaTarget, 'tenant' | 'databases'>): string[] {
  return [`tenant ${tenant}`, ...databases.map((each) => `database ${each}`)];
}

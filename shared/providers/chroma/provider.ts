import * as z from 'zod';
import { deployedKeys, type DeployedTarget } from '../deploy-hook/keys.ts';
import { ANYTHING } from '../http/api.ts';
import { keyProvider } from '../http/keys.ts';
import { ownBaseUrl, targetOf, upstreamId } from '../http/target.ts';

interface ChromaTarget extends DeployedTarget {
  readonly baseUrl: string;
  readonly access: 'read' | 'read-write';
  readonly tenant: string;
  readonly database: string;
}

/**
 * Chroma that somebody runs himself. It has no authentication of its own: a proxy in front of it has, by a list of tokens (their
 * SHA-256 alone) that an operator's hook deploys. The proxy is who knows what a token may do.
 */
export const chromaProvider = keyProvider({
  key: 'vector-database-key/chroma',
  name: "Chroma's proxy",
  ...targetOf({
    baseUrl: ownBaseUrl,
    access: z.enum(['read', 'read-write']),
    tenant: upstreamId,
    database: upstreamId,
  }),
  access: ({ access }: ChromaTarget) => (access === 'read' ? 'read' : 'write'),
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),
  ...deployedKeys<ChromaTarget>({
    name: "Chroma's proxy",
    gets: 'sha256',
    open: 'Chroma itself checks no login: put a proxy in front of it that knows the tokens, and close the way around it',
    /** `/heartbeat` and `/version` may be open: this reads what the database has. */
    async test(api, { tenant, database }) {
      const path = `/api/v2/tenants/${encodeURIComponent(tenant)}/databases/${encodeURIComponent(database)}/collections?limit=1`;
      await api.call({ method: 'GET', path, answer: z.array(ANYTHING) });
    },
  }),
});

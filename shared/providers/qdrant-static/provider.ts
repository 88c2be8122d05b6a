import * as z from 'zod';
import { deployedKeys, type DeployedTarget } from '../deploy-hook/keys.ts';
import { ANYTHING } from '../http/api.ts';
import { keyProvider } from '../http/keys.ts';
import { ownBaseUrl, targetOf } from '../http/target.ts';

interface QdrantStaticTarget extends DeployedTarget {
  readonly baseUrl: string;
}

/**
 * Qdrant that somebody runs himself, 1.17 and later: its two static keys, `api_key` and `alt_api_key`, which an operator's hook
 * puts into the configuration of every node. Each may do everything, which a target has to say: tokens may do less (`qdrant`).
 */
export const qdrantStaticProvider = keyProvider({
  key: 'vector-database-key/qdrant-static',
  name: 'Qdrant',
  ...targetOf({ baseUrl: ownBaseUrl, access: z.literal('manage') }),
  access: () => 'write',
  agentHeaders: (value) => ({ 'api-key': value }),
  ...deployedKeys<QdrantStaticTarget>({
    name: 'Qdrant',
    gets: 'value',
    open: 'set QDRANT__SERVICE__API_KEY, and start every node again',
    async test(api) {
      const answer = z.object({ result: z.object({ collections: z.array(ANYTHING) }) });
      await api.call({ method: 'GET', path: '/collections', answer });
    },
  }),
});

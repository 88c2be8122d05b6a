import * as z from 'zod';
import type { Api } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider } from '../http/keys.ts';
import { allPages } from '../http/listing.ts';
import { accessBy, scopeBy } from '../http/rules.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';
import { signedTokens } from '../signed-tokens/tokens.ts';
import { rulesSchema, signed, TOKENS, type Rule } from './token.ts';

interface QdrantTarget extends KeyTarget {
  readonly baseUrl: string;
  readonly rules: readonly Rule[];
}

const POINTS = `/collections/${TOKENS}/points`;
const PAGE = 1000;
const MAKE_LIST = curl('PUT', `<baseUrl>/collections/${TOKENS}`, ['api-key: $QDRANT_API_KEY'], {});

/** Points that others make may have numbers. */
const pointId = z.union([z.string().min(1), z.number()]);
const payload = z
  .object({ name: z.string(), scope: z.array(z.string()) })
  .partial()
  .nullish();
const point = z.object({ id: pointId, payload }).transform(({ id, payload: says }) => {
  return { id: String(id), name: says?.name ?? '', active: true, scope: says?.scope ?? [] };
});

const done = z.object({ result: z.object({ status: z.string() }) });

/**
 * Qdrant that somebody runs himself, 1.9 and later: tokens (JWTs) that Rekey signs, with the access that is declared. Each is
 * taken as long as its point is there. The administrative secret is `{"apiKey": …, "baseUrl": …}`, the server's own key.
 */
export const qdrantProvider = keyProvider<QdrantTarget, { apiKey: string }>({
  key: 'vector-database-key/qdrant',
  name: 'Qdrant',
  ...targetOf({ baseUrl: ownBaseUrl, rules: rulesSchema }),
  owner: () => 'tokens',
  access: accessBy,
  admin: z.object({ apiKey: z.string().min(1) }),
  adminHeaders: ({ apiKey }) => ({ 'api-key': apiKey }),
  agentHeaders: (value) => ({ 'api-key': value }),

  scope: { field: 'rules', of: scopeBy },

  async list(api) {
    const answer = z.object({
      result: z.object({ points: z.array(point), next_page_offset: pointId.nullish() }),
    });
    return allPages(async (offset: string | number | undefined) => {
      const body = { limit: PAGE, with_payload: true, with_vector: false, offset };
      const { result } = await api.call({ method: 'POST', path: `${POINTS}/scroll`, body, answer });
      return { items: result.points, next: result.next_page_offset };
    });
  },

  async find(api, _target, id) {
    const path = `${POINTS}/${encodeURIComponent(id)}`;
    return (await api.find({ method: 'GET', path, answer: z.object({ result: point }) }))?.result;
  },

  async remove(api, _target, id) {
    const path = `${POINTS}/delete?wait=true&ordering=strong`;
    await api.call({ method: 'POST', path, body: { points: [id] }, answer: done });
  },

  /** What isn't in the list of tokens Qdrant answers with 401; without that list with 403. */
  ...signedTokens<QdrantTarget, { apiKey: string }>({
    name: 'Qdrant',
    sign: ({ apiKey }, { rules }, token, endsAt) => signed(rules, token, apiKey, endsAt),
    async enter(api, target, id, name) {
      const points = [{ id, vector: {}, payload: { token: id, name, scope: scopeBy(target) } }];
      const path = `${POINTS}?wait=true&ordering=strong`;
      await api.call({ method: 'PUT', path, body: { points }, answer: done });
    },
    test,
    remedies: {
      open: 'set QDRANT__SERVICE__API_KEY and QDRANT__SERVICE__JWT_RBAC=true, and start every node again',
      deaf: 'set QDRANT__SERVICE__JWT_RBAC=true, and let the administrative secret have the api_key of the server',
      forgetful: `run 1.9 or later, which knows value_exists, and make the collection ${TOKENS} once, with a replica on each node: ${MAKE_LIST}`,
    },
  }),

  byHand(_target, id, baseUrl) {
    const url = `${baseUrl}${POINTS}/delete?wait=true`;
    const command = curl('POST', url, ['api-key: $QDRANT_API_KEY'], { points: [id] });
    return `# With the api_key of the server; the token is refused from then on:\n${command}`;
  },
});

/** Reads as an agent would: of the first collection whether it exists, for which the token needs its right there. */
async function test(api: Api, { rules: [first] }: QdrantTarget): Promise<void> {
  const name = first?.collection ?? '*';
  const path = name === '*' ? '/collections' : `/collections/${encodeURIComponent(name)}/exists`;
  await api.call({ method: 'GET', path, answer: z.object({ result: z.looseObject({}) }) });
}

import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { plusSeconds } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { allPages } from '../http/listing.ts';
import { assertCloses } from '../http/negative.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';
import { rulesSchema, signed, TOKENS, type Rule } from './token.ts';

interface QdrantTarget extends KeyTarget {
  readonly baseUrl: string;
  readonly rules: readonly Rule[];
}

const POINTS = `/collections/${TOKENS}/points`;
const PAGE = 1000;
/** How long a token lives whose interval isn't known, and one that Rekey only tries the server with. */
const LIFE_SECONDS = 60 * 86_400;
const PROBE_SECONDS = 300;
const OPEN = 'set QDRANT__SERVICE__API_KEY and QDRANT__SERVICE__JWT_RBAC=true, and start every node again';
const DEAF =
  'set QDRANT__SERVICE__JWT_RBAC=true, and let the administrative secret have the api_key of the server';
const NO_TOKENS = `run 1.9 or later, which knows value_exists, and make the collection ${TOKENS} once, with a replica on each node: ${curl(
  'PUT',
  `<baseUrl>/collections/${TOKENS}`,
  ['api-key: $QDRANT_API_KEY'],
  {},
)}`;

/** Points that others make may have numbers. */
const pointId = z.union([z.string().min(1), z.number()]);
const point = z.object({
  id: pointId,
  payload: z
    .object({ name: z.string(), scope: z.array(z.string()) })
    .partial()
    .nullish(),
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
  access: ({ rules }) => (rules.every(({ access }) => access === 'read') ? 'read' : 'write'),
  admin: z.object({ apiKey: z.string().min(1) }),
  adminHeaders: ({ apiKey }) => ({ 'api-key': apiKey }),
  agentHeaders: (value) => ({ 'api-key': value }),

  scope: { field: 'rules', of: scopeOf },

  async list(api) {
    const answer = z.object({
      result: z.object({ points: z.array(point), next_page_offset: pointId.nullish() }),
    });
    const points = await allPages(async (after) => {
      const offset: unknown = after === undefined ? undefined : JSON.parse(after);
      const body = { limit: PAGE, with_payload: true, with_vector: false, offset };
      const { result } = await api.call({ method: 'POST', path: `${POINTS}/scroll`, body, answer });
      const next = result.next_page_offset ?? undefined;
      return { items: result.points, next: next === undefined ? undefined : JSON.stringify(next) };
    });
    return points.map(shown);
  },

  async find(api, _target, id) {
    const path = `${POINTS}/${encodeURIComponent(id)}`;
    const found = await api.find({ method: 'GET', path, answer: z.object({ result: point }) });
    return found === undefined ? undefined : shown(found.result);
  },

  async create(api, target, name, { apiKey }, { now, endsAt = plusSeconds(now, LIFE_SECONDS) }) {
    const id = randomUUID();
    const points = [{ id, vector: {}, payload: { token: id, name, scope: scopeOf(target) } }];
    const path = `${POINTS}?wait=true&ordering=strong`;
    await api.call({ method: 'PUT', path, body: { points }, answer: done });
    return { id, value: signed({ rules: target.rules, id, subject: name }, apiKey, endsAt) };
  },

  async remove(api, _target, id) {
    const path = `${POINTS}/delete?wait=true&ordering=strong`;
    await api.call({ method: 'POST', path, body: { points: [id] }, answer: done });
  },

  /** Another token that dies with the point. */
  valueById: ({ apiKey }, { rules }, id, now) =>
    signed({ rules, id }, apiKey, plusSeconds(now, PROBE_SECONDS)),

  /** There is no way in without a key, tokens are taken, and none whose point isn't there, which no collection answers with 403. */
  async inspect(as, target, { apiKey }, now) {
    const { rules } = target;
    const probe = (id?: string): string =>
      signed({ rules, ...(id === undefined ? {} : { id }) }, apiKey, plusSeconds(now, PROBE_SECONDS));
    await assertCloses('Qdrant', async () => test(as(), target), OPEN);
    try {
      await test(as(probe()), target);
    } catch (cause) {
      if (!isRekeyError(cause, 'ERR_REJECTED')) throw cause;
      const problem = 'Qdrant takes no tokens that are signed with its key';
      throw new RekeyError('ERR_REJECTED', problem, { field: 'target.baseUrl', remedy: DEAF, cause });
    }
    await assertCloses('Qdrant', async () => test(as(probe(randomUUID())), target), NO_TOKENS);
  },

  test,

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

function scopeOf({ rules }: QdrantTarget): string[] {
  return rules.map(({ collection, access }) => `${collection} ${access}`);
}

function shown({ id, payload }: z.infer<typeof point>): UpstreamKey {
  const { name = '', scope = [] } = payload ?? {};
  return { id: String(id), name, active: true, scope };
}

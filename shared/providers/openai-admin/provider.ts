import * as z from 'zod';
import { toInstant } from '../../domain/clock.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { listAfter } from '../http/listing.ts';
import { targetOf, type KeyTarget } from '../http/target.ts';

const keySchema = z.object({
  id: z.string(),
  name: z.string().nullish(),
  redacted_value: z.string(),
  created_at: z.number(),
  last_used_at: z.number().nullish(),
  owner: z.object({ role: z.string().optional() }),
});

const KEYS = '/organization/admin_api_keys';

/**
 * OpenAI's admin API keys, which administer the whole organization: the root of the provider `openai`. The secret is
 * `{"adminKey": "sk-admin-…"}`; an admin key makes its own successor.
 */
export const openaiAdminProvider = keyProvider<KeyTarget, { adminKey: string }>({
  key: 'root/openai-admin',
  name: 'OpenAI',
  baseUrl: 'https://api.openai.com/v1',
  ...targetOf({}),
  owner: () => 'organization',
  form: { key: 'adminKey', id: 'adminKeyId', beside: [], of: () => ({}) },
  admin: z.object({ adminKey: z.string().min(1) }),
  adminHeaders: ({ adminKey }) => ({ authorization: `Bearer ${adminKey}` }),
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),

  async list(api) {
    return (await listAfter(api, KEYS, { limit: '100' }, 'after', keySchema)).map(shown);
  },

  async find(api, _target, id) {
    const key = await api.find({ method: 'GET', path: pathOf(id), answer: keySchema });
    return key === undefined ? undefined : shown(key);
  },

  async create(api, _target, name) {
    const answer = z.object({ id: z.string().min(1), value: z.string().min(1) });
    return api.call({ method: 'POST', path: KEYS, body: { name }, answer });
  },

  adoption: {},

  async remove(api, _target, id) {
    await api.find({ method: 'DELETE', path: pathOf(id), answer: ANYTHING });
  },

  /** Lists one key, as only an admin key may. */
  async test(api: Api) {
    await api.call({
      method: 'GET',
      path: `${KEYS}?limit=1`,
      answer: z.object({ data: z.array(ANYTHING) }),
    });
  },

  /** OpenAI says 401 of a key that it doesn't know, 403 of one that may not do this. */
  async isLoginDead(api) {
    const refused = await api.find({
      method: 'GET',
      path: `${KEYS}?limit=1`,
      accepts: [401],
      answer: z.union([z.object({ error: z.object({}) }), z.object({ data: z.array(ANYTHING) })]),
    });
    return refused !== undefined && 'error' in refused;
  },

  byHand(_target, id, baseUrl) {
    const url = `${baseUrl.replace(/\/$/, '')}${pathOf(id)}`;
    const login = ['authorization: Bearer $ANOTHER_OPENAI_ADMIN_KEY'];
    return [
      `# At https://platform.openai.com: the organization's admin keys, delete ${id}. Or with another admin key:`,
      curl('DELETE', url, login),
      '# Gone once this answers 404:',
      curl('GET', url, login),
    ].join('\n');
  },
});

function pathOf(id: string): string {
  return `${KEYS}/${encodeURIComponent(id)}`;
}

function shown(key: z.infer<typeof keySchema>): UpstreamKey {
  const { id, name, created_at: made, last_used_at: lastUsed, redacted_value: hint, owner } = key;
  return {
    id,
    name: name ?? '',
    active: true,
    createdAt: toInstant(made * 1000),
    lastUsed: lastUsed == null ? null : toInstant(lastUsed * 1000),
    hint,
    ...(owner.role === undefined ? {} : { scope: [owner.role] }),
  };
}

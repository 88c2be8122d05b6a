import * as z from 'zod';
import { instantIn } from '../../domain/clock.ts';
import { ANYTHING, type Api, type Call } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider, type NewKey } from '../http/keys.ts';
import { listAfter } from '../http/listing.ts';
import { namedPool } from '../http/pool-by-name.ts';
import { poolSchema, type PoolKey } from '../http/pool.ts';
import { targetOf, upstreamId, type KeyTarget } from '../http/target.ts';
import { told, toldName } from '../http/told.ts';
import { requestsOf } from './usage.ts';

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  /** Null in the default workspace. */
  workspace_id: z.string().nullable(),
  partial_key_hint: z.string().nullish(),
  created_at: z.string().nullish(),
});

const limit = z.object({ type: z.string(), value: z.number() });
const group = z.object({ models: z.array(z.string()).nullish(), limits: z.array(limit) });

interface AnthropicTarget extends KeyTarget {
  /** The workspace's id; `default` for the one that has none. */
  readonly workspace: string;
}

const VERSION = { 'anthropic-version': '2023-06-01' };
const KEYS = '/organizations/api_keys';

/**
 * Anthropic: its API makes no keys, so an operator fills a pool. The administrative secret is
 * `{"adminKey": "sk-ant-admin01-…", "pool": [{"id": "apikey_…", "value": "sk-ant-api03-…"}, …]}`.
 */
export const anthropicProvider = keyProvider<AnthropicTarget, { adminKey: string; pool: readonly NewKey[] }>({
  key: 'llm-key/anthropic',
  name: 'Anthropic',
  baseUrl: 'https://api.anthropic.com/v1',
  ...targetOf({ workspace: upstreamId }),
  owner: ({ workspace }) => workspace,
  admin: z.object({ adminKey: z.string().min(1), pool: poolSchema }),
  adminHeaders: ({ adminKey }) => ({ 'x-api-key': adminKey, ...VERSION }),
  agentHeaders: (value) => ({ 'x-api-key': value, ...VERSION }),
  ...namedPool<AnthropicTarget>({
    name: 'Anthropic',
    where: ({ workspace }) => `workspace ${workspace}`,
    all,
    look,
    rename,
  }),

  async remove(api, _target, id) {
    if ((await look(api, id)) === undefined) return;
    // Dead with the first; the second, which is final, may have to be tried again.
    for (const status of ['inactive', 'archived']) await api.find(update(id, { status }));
  },

  adoption: { rename, nameLength: 500 },

  async place(api, { workspace }) {
    const [account, project, limits] = await Promise.all([
      toldName(api, '/organizations/me'),
      workspace === 'default' ? undefined : toldName(api, `/organizations/workspaces/${workspace}`),
      told(api, '/organizations/rate_limits', z.object({ data: z.array(group) })),
    ]);
    const rateLimits = limits?.data.flatMap(({ models, limits: each }) =>
      each.map(({ type, value }) => `${models?.[0] ?? 'others'}: ${type} ${value}`),
    );
    return { account, project, rateLimits };
  },

  meter: async (api, _target, keyIds, span) => requestsOf(api, keyIds, span),

  async setActive(api, _target, id, active) {
    await api.call(update(id, { status: active ? 'active' : 'inactive' }));
  },

  /** Lists models, which is free. */
  async test(api) {
    await api.call({ method: 'GET', path: '/models', answer: z.object({ data: z.array(ANYTHING) }) });
  },

  byHand(_target, id, baseUrl) {
    const url = `${baseUrl}${pathOf(id)}`;
    const login = ['x-api-key: $ANTHROPIC_ADMIN_KEY', 'anthropic-version: 2023-06-01'];
    return [
      `# At https://console.anthropic.com: API keys, disable ${id}. Or with an admin key:`,
      curl('POST', url, login, { status: 'inactive' }),
      '# Dead once this says "inactive":',
      curl('GET', url, login),
    ].join('\n');
  },
});

/** The keys of the workspace that aren't ended for good. */
async function all(api: Api, { workspace }: AnthropicTarget): Promise<PoolKey[]> {
  const query = { limit: '1000', ...(workspace === 'default' ? {} : { workspace_id: workspace }) };
  const keys = await listAfter(api, KEYS, query, 'after_id', keySchema);
  return keys.flatMap(shown).filter(({ scope }) => scope?.includes(workspace));
}

async function look(api: Api, id: string): Promise<PoolKey | undefined> {
  const key = await api.find({ method: 'GET', path: pathOf(id), answer: keySchema });
  return key && shown(key)[0];
}

async function rename(api: Api, id: string, name: string): Promise<void> {
  await api.call(update(id, { name }));
}

function pathOf(id: string): string {
  return `${KEYS}/${encodeURIComponent(id)}`;
}

function update(id: string, body: { name?: string; status?: string }): Call<unknown> {
  return { method: 'POST', path: pathOf(id), body, answer: ANYTHING };
}

/** Archived and expired ones don't exist any more. A status that this version doesn't know counts as suspended. */
function shown({ id, name, status, workspace_id, ...key }: z.infer<typeof keySchema>): PoolKey[] {
  if (status === 'archived' || status === 'expired') return [];
  const scope = [workspace_id ?? 'default'];
  const hint = key.partial_key_hint ?? '';
  return [{ id, name, active: status === 'active', scope, hint, createdAt: instantIn(key.created_at) }];
}

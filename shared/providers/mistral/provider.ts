import * as z from 'zod';
import { instantIn, plusSeconds, type Instant } from '../../domain/clock.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { targetOf } from '../http/target.ts';

interface MistralTarget {
  readonly workspace: string;
  /** In whose name the keys are made. */
  readonly user: string;
  readonly label: string;
  readonly baseUrl?: string | undefined;
  /** When Mistral itself ends a key; never, where nothing is said and no rule of the workspace asks for it. */
  readonly expiresInDays?: number | undefined;
}

const keySchema = z.object({
  key_id: z.string().min(1),
  name: z.string().nullable(),
  hidden_key: z.string().nullish(),
  created_at: z.string().nullish(),
  workspace_id: z.string().nullable(),
});

const adminSchema = z.object({
  adminKey: z.string().min(1),
  /** Mistral's specification has `bearer`, its guide `x-api-key` and another address. */
  header: z.enum(['bearer', 'x-api-key']).optional(),
  adminUrl: z.string().min(1).optional(),
});

const KEYS = '/admin/api-keys';

/** Mistral: API keys of a workspace (Enterprise, preview). The administrative secret is `{"adminKey": …}`. */
export const mistralProvider = keyProvider<MistralTarget, z.infer<typeof adminSchema>>({
  key: 'llm-key/mistral',
  name: 'Mistral',
  baseUrl: 'https://api.mistral.ai/v1',
  ...targetOf({
    workspace: z.guid('must be the id of the workspace, a UUID'),
    user: z.guid('must be the id of a user, a UUID'),
    // A key that ends before the next one has taken over would cut its agents off: the longest interval is 30 days.
    expiresInDays: z.int().min(45).max(3650).optional(),
  }),
  // A key doesn't tell its user again, so labels are unique in the workspace.
  owner: ({ workspace }) => workspace,
  admin: adminSchema,
  adminUrl: ({ adminUrl }) => adminUrl,
  adminHeaders: ({ adminKey, header }) =>
    header === 'x-api-key' ? { 'x-api-key': adminKey } : { authorization: `Bearer ${adminKey}` },
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),
  list,

  /** Mistral is told a day, and nobody says at what time of it a key ends. */
  endsAt: ({ expiresInDays }, from) =>
    expiresInDays === undefined ? undefined : instantIn(dayAfter(from, expiresInDays)),

  async create(api, { workspace, user, expiresInDays }, name, _admin, { now }) {
    const answer = z.object({ key_id: z.string().min(1), key: z.string().min(1) });
    const expiration = expiresInDays === undefined ? {} : { expiration: dayAfter(now, expiresInDays) };
    const body = { workspace_uuid: workspace, user_id: user, name, ...expiration };
    const { key_id: id, key: value } = await api.call({ method: 'POST', path: KEYS, body, answer });
    return { id, value };
  },

  adoption: {},

  async remove(api, _target, id) {
    await api.find({ method: 'DELETE', path: pathOf(id), answer: ANYTHING });
  },

  /** Lists models, which is free. */
  async test(api: Api) {
    await api.call({ method: 'GET', path: '/models', answer: z.object({ data: z.array(ANYTHING) }) });
  },

  byHand: (_target, id, baseUrl) =>
    deletion({
      where: `In the Admin Panel, API, API Keys: delete ${id}. Or with an admin key`,
      url: `${baseUrl}${pathOf(id)}`,
      login: 'authorization: Bearer $MISTRAL_ADMIN_KEY',
      dead: 'Gone once no page of these has it',
      lookAt: `${baseUrl}${KEYS}?limit=100&offset=0`,
    }),
});

function pathOf(id: string): string {
  return `${KEYS}/${encodeURIComponent(id)}`;
}

function dayAfter(from: Instant, days: number): string {
  return plusSeconds(from, days * 86_400).slice(0, 10);
}

/** Page by page until one brings nothing new: how many keys Mistral gives at most in one answer it doesn't say. */
async function list(api: Api, { workspace }: MistralTarget): Promise<UpstreamKey[]> {
  const all = new Map<string, z.infer<typeof keySchema>>();
  for (let offset = 0, before = -1; all.size > before;) {
    before = all.size;
    const { keys } = await api.call({
      method: 'GET',
      path: `${KEYS}?limit=100&offset=${offset}`,
      answer: z.object({ keys: z.array(keySchema) }),
    });
    for (const key of keys) all.set(key.key_id, key);
    offset += keys.length;
  }
  return [...all.values()]
    .filter((key) => key.workspace_id === workspace)
    .map(({ key_id: id, name, hidden_key: hint, created_at: made }) => ({
      id,
      name: name ?? '',
      active: true,
      createdAt: instantIn(made),
      ...(hint ? { hint } : {}),
    }));
}

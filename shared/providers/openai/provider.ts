import * as z from 'zod';
import { toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { listAfter } from '../http/listing.ts';
import { targetOf, upstreamId, type KeyTarget } from '../http/target.ts';
import { told, toldName } from '../http/told.ts';
import { requestsOf } from './usage.ts';

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  redacted_value: z.string().nullish(),
  created_at: z.number().nullish(),
  last_used_at: z.number().nullable(),
  owner: z.object({ service_account: z.object({ id: z.string() }).optional() }),
});

/** No code for it is documented; those of other limits have the word. That of the rate is no lack of room. */
const full = z.object({ error: z.object({ code: z.string().regex(/^(?!rate_).*(limit|quota)/) }) });

const limit = z.object({ model: z.string(), max_requests_per_1_minute: z.number() });
const spendSchema = z.object({ threshold_amount: z.number(), currency: z.string(), interval: z.string() });

type Key = z.infer<typeof keySchema>;

interface OpenAiTarget extends KeyTarget {
  readonly project: string;
  readonly serviceAccount: string;
  /** Scopes of the key; those of the service account where nothing is said. */
  readonly scopes?: readonly string[] | undefined;
}

/**
 * OpenAI: keys of a project's service account, which stays, so that old and new overlap. The administrative secret is
 * `{"adminKey": "sk-admin-…"}`.
 */
export const openaiProvider = keyProvider<OpenAiTarget, { adminKey: string }>({
  key: 'llm-key/openai',
  name: 'OpenAI',
  baseUrl: 'https://api.openai.com/v1',
  ...targetOf({
    project: upstreamId,
    serviceAccount: upstreamId,
    scopes: z.array(z.string().min(1).max(128)).min(1).max(64).optional(),
  }),
  owner: ({ project, serviceAccount }) => `${project}/${serviceAccount}`,
  admin: z.object({ adminKey: z.string().min(1) }),
  adminHeaders: ({ adminKey }) => ({ authorization: `Bearer ${adminKey}` }),
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),

  async list(api, target) {
    const path = `${projectPath(target)}/api_keys`;
    const keys = await listAfter(api, path, { limit: '100' }, 'after', keySchema);
    return keys.filter(({ owner }) => owner.service_account?.id === target.serviceAccount).map(shown);
  },

  async find(api, target, id) {
    const key = await api.find({ method: 'GET', path: pathOf(target, id), answer: keySchema });
    return key === undefined ? undefined : shown(key);
  },

  async create(api, target, name) {
    return api.call({
      method: 'POST',
      path: `${projectPath(target)}/service_accounts/${encodeURIComponent(target.serviceAccount)}/api_keys`,
      body: { name, ...(target.scopes === undefined ? {} : { scopes: target.scopes }) },
      answer: z.object({ id: z.string().min(1), value: z.string().min(1) }),
      full,
    });
  },

  adoption: {},

  async place(api, target) {
    const path = projectPath(target);
    const [project, limits, spend] = await Promise.all([
      toldName(api, path),
      told(api, `${path}/rate_limits?limit=100`, z.object({ data: z.array(limit) })),
      told(api, `${path}/spend_limit`, spendSchema),
    ]);
    return {
      project,
      rateLimits: limits?.data.map((of) => `${of.model}: ${of.max_requests_per_1_minute} requests a minute`),
      spendLimit: spend && `${spend.threshold_amount / 100} ${spend.currency} a ${spend.interval}`,
    };
  },

  meter: async (api, { project }, keyIds, span) => requestsOf(api, project, keyIds, span),

  /** One version of its documentation says that a service account's key can't be deleted: what counts is whether it is gone. */
  async remove(api, target, id) {
    try {
      await api.find({ method: 'DELETE', path: pathOf(target, id), answer: ANYTHING });
    } catch (error) {
      if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
      if ((await api.find({ method: 'GET', path: pathOf(target, id), answer: ANYTHING })) === undefined)
        return;
      throw new RekeyError('ERR_REJECTED', `OpenAI does not delete ${id} by its API`, {
        field: 'target.serviceAccount',
        remedy: `delete the key in the console; else the service account ${target.serviceAccount}, which ends all of its keys`,
        cause: error,
      });
    }
  },

  /** Lists models, which is free. */
  async test(api: Api) {
    await api.call({ method: 'GET', path: '/models', answer: z.object({ data: z.array(ANYTHING) }) });
  },

  byHand: (target, id, baseUrl) =>
    deletion({
      where: `At https://platform.openai.com: the project ${target.project}, API keys, delete ${id}. Or with an admin key`,
      url: `${baseUrl}${pathOf(target, id)}`,
      login: 'authorization: Bearer $OPENAI_ADMIN_KEY',
      dead: 'Gone once this answers 404',
    }),
});

function projectPath({ project: id }: OpenAiTarget): string {
  return `/organization/projects/${encodeURIComponent(id)}`;
}

function pathOf(target: OpenAiTarget, id: string): string {
  return `${projectPath(target)}/api_keys/${encodeURIComponent(id)}`;
}

function shown({
  id,
  name,
  created_at: made,
  last_used_at: lastUsed,
  redacted_value: hint,
}: Key): UpstreamKey {
  return {
    id,
    name,
    active: true,
    ...(made == null ? {} : { createdAt: toInstant(made * 1000) }),
    lastUsed: lastUsed === null ? null : toInstant(lastUsed * 1000),
    ...(hint ? { hint } : {}),
  };
}

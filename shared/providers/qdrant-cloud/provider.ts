import * as z from 'zod';
import { ANYTHING } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { accessBy, rulesOf } from '../http/rules.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';

interface QdrantTarget extends KeyTarget {
  /** The cluster, which agents use. */
  readonly baseUrl: string;
  readonly account: string;
  readonly cluster: string;
  /** What a key may do. Qdrant's own default is everything, hence there is none here. */
  readonly rules: readonly Rule[];
}

const ADMIN_URL = 'https://api.cloud.qdrant.io';

/** How the API calls each right; the whole cluster can't be had for writing alone, nor a collection to manage. */
const RIGHTS = { read: 'READ_ONLY', 'read-write': 'READ_WRITE', manage: 'MANAGE' } as const;

/** Rights on one collection, or on the cluster (`*`). Strict also where stored: no restriction may be overlooked. */
const ruleSchema = z
  .strictObject({
    collection: z.string().regex(/^(\*|[\w-]{4,64})$/, 'must be the name of a collection, or *'),
    access: z.enum(['read', 'read-write', 'manage']),
  })
  .refine(
    ({ collection, access }) => access !== (collection === '*' ? 'read-write' : 'manage'),
    'must be read or read-write for a collection, read or manage for *',
  );
type Rule = z.infer<typeof ruleSchema>;

const admin = z.object({ managementKey: z.string().min(1), adminUrl: z.string().min(1).optional() });

const collectionRule = z.object({
  collectionName: z.string(),
  accessType: z.string(),
  payload: z.record(z.string(), z.string()).nullish(),
});
const globalRule = z.object({ accessType: z.string() });
const accessRules = z
  .array(z.object({ globalAccess: globalRule.nullish(), collectionAccess: collectionRule.nullish() }))
  .nullish();
const keySchema = z.object({ id: z.string().min(1), name: z.string(), accessRules });

/**
 * Qdrant Cloud: database API keys of one cluster, always with the access that is declared. The administrative secret is
 * `{"managementKey": …, "baseUrl": "https://….cloud.qdrant.io:6333"}`; that address binds it to its cluster.
 */
export const qdrantCloudProvider = keyProvider<QdrantTarget, z.infer<typeof admin>>({
  key: 'vector-database-key/qdrant-cloud',
  name: 'Qdrant Cloud',
  ...targetOf({
    baseUrl: ownBaseUrl,
    account: z.guid('must be the id of the account, a UUID'),
    cluster: z.guid('must be the id of the cluster, a UUID'),
    rules: rulesOf(ruleSchema),
  }),
  owner: ({ account, cluster }) => `${account}/${cluster}`,
  scope: {
    field: 'rules',
    of: ({ rules }) => rules.map(({ collection, access }) => `${collection} ${RIGHTS[access]}`),
  },
  access: accessBy,
  admin,
  adminHeaders: ({ managementKey }) => ({ authorization: `apikey ${managementKey}` }),
  adminUrl: ({ adminUrl = ADMIN_URL }) => adminUrl,
  agentHeaders: (value) => ({ 'api-key': value }),

  async list(api, target) {
    const answer = z.object({ items: z.array(keySchema) });
    return (await api.call({ method: 'GET', path: allOf(target), answer })).items.map(shown);
  },

  async create(api, target, name) {
    const { account: accountId, cluster: clusterId, rules } = target;
    // A name takes no dots here.
    const key = { accountId, clusterId, name: name.replaceAll('.', '_'), accessRules: rules.map(written) };
    const { databaseApiKey: made } = await api.call({
      method: 'POST',
      path: keysOf(target),
      body: { databaseApiKey: key },
      answer: z.object({ databaseApiKey: keySchema.extend({ key: z.string().min(1) }) }),
    });
    // A cluster before 1.11 knows no access rules.
    return { id: made.id, value: made.key, scope: shown(made).scope };
  },

  async remove(api, target, id) {
    await api.find({ method: 'DELETE', path: keyOf(target, id), answer: ANYTHING });
  },

  /** Lists collections: every key may, and sees those that it has access to. */
  async test(api) {
    const answer = z.object({ result: z.object({ collections: z.array(ANYTHING) }) });
    await api.call({ method: 'GET', path: '/collections', answer });
  },

  byHand: (target, id) =>
    deletion({
      where: `At https://cloud.qdrant.io: the cluster ${target.cluster}, API Keys, delete ${id}. Or with a management key`,
      url: `${ADMIN_URL}${keyOf(target, id)}`,
      login: 'authorization: apikey $QDRANT_MANAGEMENT_KEY',
      dead: 'Gone once this does not name it',
      lookAt: `${ADMIN_URL}${allOf(target)}`,
    }),
});

function keysOf({ account }: QdrantTarget): string {
  return `/api/cluster/auth/v2/accounts/${account}/database-api-keys`;
}

function allOf(target: QdrantTarget): string {
  return `${keysOf(target)}?clusterId=${target.cluster}`;
}

function keyOf(target: QdrantTarget, id: string): string {
  return `${keysOf(target)}/${encodeURIComponent(id)}?clusterId=${target.cluster}`;
}

function written({ collection, access }: Rule): object {
  const accessType = `ACCESS_RULE_ACCESS_TYPE_${RIGHTS[access]}`;
  if (collection === '*') return { globalAccess: { accessType: `GLOBAL_${accessType}` } };
  return { collectionAccess: { collectionName: collection, accessType: `COLLECTION_${accessType}` } };
}

/** A key without rules may do everything. */
function shown({ id, name, accessRules: rules }: z.infer<typeof keySchema>): UpstreamKey {
  const scope = (rules ?? []).map(({ globalAccess, collectionAccess }) => {
    const { collectionName = '*', accessType = '', payload } = { ...globalAccess, ...collectionAccess };
    const part = Object.keys(payload ?? {}).length > 0 ? ' in part' : '';
    return `${collectionName} ${accessType.replace(/^.*_ACCESS_TYPE_/, '')}${part}`;
  });
  return { id, name, active: true, scope: scope.length > 0 ? scope : ['* MANAGE'] };
}

import { randomUUID } from 'node:crypto';
import { FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NAME = /^[\w\s-]{4,128}$/;
const KEYS = /^\/api\/cluster\/auth\/v2\/accounts\/([^/]+)\/database-api-keys(?:\/([^/]+))?$/;
const GLOBAL = /^GLOBAL_ACCESS_RULE_ACCESS_TYPE_(READ_ONLY|MANAGE)$/;
const COLLECTION = /^COLLECTION_ACCESS_RULE_ACCESS_TYPE_(READ_ONLY|READ_WRITE)$/;

/** A rule as the API writes it. */
export interface FakeRule {
  readonly globalAccess?: { readonly accessType: string };
  readonly collectionAccess?: { readonly collectionName: string; readonly accessType: string };
}

/** Qdrant Cloud's administration of database API keys, as its protocol definition has it, and a cluster beside it. */
export class FakeQdrantCloud implements AsyncDisposable {
  readonly managementKey = 'qdrant-management-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys(randomUUID);
  readonly rules: Map<string, readonly FakeRule[]> = new Map();
  /** Both the API and the cluster. */
  readonly server: UpstreamServer;
  /** A cluster that knows none gives every key its default, which is everything. */
  knowsRules = true;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeQdrantCloud> {
    const fake: { current?: FakeQdrantCloud } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeQdrantCloud(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(asked: Asked): Reply {
    const { method, path, headers, query } = asked;
    if (path === '/collections') return this.collections(headers['api-key']);
    if (headers.authorization !== `apikey ${this.managementKey}`) return refusal(401, 16);
    const [, account = '', id] = KEYS.exec(path) ?? [];
    if (!UUID.test(account)) return refusal(404, 5);
    if (method === 'POST') return this.create(account, asked.body);
    const cluster = query.get('clusterId') ?? '';
    if (!UUID.test(cluster)) return refusal(400, 3);
    if (id === undefined) {
      const items = this.keys.of(`${account}/${cluster}`).map((key) => this.shown(key));
      return { status: 200, body: { items } };
    }
    if (method !== 'DELETE') return refusal(501, 12);
    if (this.keys.all.get(id)?.owner !== `${account}/${cluster}`) return refusal(404, 5);
    this.keys.all.delete(id);
    return { status: 200, body: {} };
  }

  private collections(value: string | string[] | undefined): Reply {
    if (!this.keys.use(String(value))) return { status: 403, body: { status: { error: 'forbidden' } } };
    return { status: 200, body: { result: { collections: [] }, status: 'ok', time: 0.001 } };
  }

  private create(account: string, body: unknown): Reply {
    const { databaseApiKey: asked = {} } = body as { databaseApiKey?: Record<string, unknown> };
    const { accountId, clusterId = '', name = '', accessRules = [] } = asked;
    const rules = accessRules as FakeRule[];
    const isValid =
      accountId === account && UUID.test(String(clusterId)) && NAME.test(String(name)) && areValid(rules);
    if (!isValid) return refusal(400, 3);
    const key = this.keys.add(`${account}/${String(clusterId)}`, String(name), 'eyJhb');
    this.rules.set(key.id, this.knowsRules ? rules : []);
    return { status: 200, body: { databaseApiKey: { ...this.shown(key), key: key.value } } };
  }

  private shown({ id, name, owner, createdAt, value }: FakeKey): object {
    const [accountId, clusterId] = owner.split('/');
    const rules = (this.rules.get(id) ?? []).map((rule) =>
      rule.collectionAccess === undefined
        ? rule
        : { collectionAccess: { ...rule.collectionAccess, payload: {} } },
    );
    return {
      id,
      accountId,
      createdAt: new Date(createdAt).toISOString(),
      clusterId,
      name,
      accessRules: rules,
      createdByEmail: 'alice.martin@example.com',
      postfix: value.slice(-4),
      key: '',
    };
  }
}

function areValid(rules: readonly FakeRule[]): boolean {
  const globals = rules.filter(({ globalAccess }) => globalAccess !== undefined);
  return (
    rules.length <= 20 &&
    (globals.length === 0 || rules.length === 1) &&
    rules.every(({ globalAccess, collectionAccess }) =>
      globalAccess === undefined
        ? /^[\w-]{4,64}$/.test(collectionAccess?.collectionName ?? '') &&
          COLLECTION.test(collectionAccess?.accessType ?? '')
        : GLOBAL.test(globalAccess.accessType),
    )
  );
}

function refusal(status: number, code: number): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { code, message: 'not for eyJhb-quoted-by-the-upstream', details: [] } };
}

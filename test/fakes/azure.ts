import { randomBytes, randomUUID } from 'node:crypto';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

/** Microsoft Entra's tokens for apps, and the part of Microsoft Graph that has their secrets. */
export class FakeAzure implements AsyncDisposable {
  readonly tenantId = '11111111-2222-4333-8444-555555555555';
  readonly adminId = 'aaaaaaaa-0000-4000-8000-000000000001';
  readonly adminSecret = 'adm8Q~secret-of-the-administrative-app';
  /** Secrets by their app's client id. */
  readonly keys: FakeKeys = new FakeKeys(randomUUID);
  /** When each secret ends, as it was asked for. */
  readonly ends: Map<string, string | undefined> = new Map();
  readonly server: UpstreamServer;
  /** How many looks a change of an app is behind. */
  lag = 0;
  readonly #tokens = new Set<string>();
  readonly #shown = new Map<string, { readonly keys: readonly FakeKey[]; looks: number }>();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeAzure> {
    const fake: { current?: FakeAzure } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeAzure(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The administrative secret. */
  admin(): Record<'tenantId' | 'clientId' | 'clientSecret' | 'graphUrl', string> {
    const { tenantId, adminId, adminSecret } = this;
    return { tenantId, clientId: adminId, clientSecret: adminSecret, graphUrl: `${this.server.url}/v1.0` };
  }

  /** A secret as it is made in the portal. */
  add(clientId: string, name: string): FakeKey {
    const key = this.keys.add(clientId, name, 'abc8Q~');
    this.ends.set(key.id, undefined);
    return key;
  }

  /** Whether an app gets a token with a secret, asked as it would. */
  async takes(clientId: string, clientSecret: string): Promise<boolean> {
    const form = { client_id: clientId, client_secret: clientSecret, grant_type: 'client_credentials' };
    const body = new URLSearchParams({ ...form, scope: 'https://graph.microsoft.com/.default' });
    const url = `${this.server.url}/${this.tenantId}/oauth2/v2.0/token`;
    return (await fetch(url, { method: 'POST', body })).ok;
  }

  private answer(asked: Asked): Reply {
    const { method, path } = asked;
    const tenant = /^\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(path)?.[1];
    if (tenant !== undefined) return this.token(tenant, asked);
    if (!this.#tokens.has(bearerOf(asked) ?? '')) return refusal(401, 'InvalidAuthenticationToken');
    const [, app = '', action] = /^\/v1\.0\/applications\(appId='([^']+)'\)(?:\/(\w+))?$/.exec(path) ?? [];
    if (app === '') return refusal(404, 'Request_ResourceNotFound');
    const body = (asked.body ?? {}) as { passwordCredential?: Record<string, string>; keyId?: string };
    if (method === 'GET' && action === undefined) return this.shown(app);
    if (method === 'POST' && action === 'addPassword') return this.make(app, body.passwordCredential ?? {});
    if (method === 'POST' && action === 'removePassword') return this.remove(app, body.keyId ?? '');
    return refusal(405, 'Request_BadRequest');
  }

  private token(tenant: string, { method, headers, body }: Asked): Reply {
    const form = (body ?? {}) as Record<string, string>;
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
    const [id, secret] =
      basic === undefined
        ? [form['client_id'], form['client_secret']]
        : Buffer.from(basic, 'base64').toString().split(':').map(decodeURIComponent);
    const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
    const isAsked =
      form['grant_type'] === 'client_credentials' && form['scope']?.endsWith('/.default') === true;
    if (method !== 'POST' || !isForm || !isAsked) return denial(400, 'invalid_request', 900144);
    if (tenant !== this.tenantId) return denial(400, 'invalid_request', 90002);
    if (id === this.adminId) {
      if (secret !== this.adminSecret) return denial(401, 'invalid_client', 7000215);
    } else if (this.keys.of(id ?? '').every(({ value }) => value !== secret) || !this.keys.use(secret)) {
      return denial(401, 'invalid_client', 7000215);
    }
    const token = randomBytes(24).toString('base64url');
    if (id === this.adminId && form['scope'] === `${this.server.url}/.default`) this.#tokens.add(token);
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: token } };
  }

  private shown(app: string): Reply {
    const stale = this.#shown.get(app);
    const keys = stale !== undefined && stale.looks-- > 0 ? stale.keys : this.keys.of(app);
    const passwordCredentials = keys.map(({ id, name, value }) => ({
      keyId: id,
      displayName: name,
      hint: value.slice(0, 3),
      secretText: null,
      endDateTime: this.ends.get(id) ?? null,
    }));
    return { status: 200, body: { '@odata.context': 'https://graph/$metadata', passwordCredentials } };
  }

  private make(app: string, { displayName = '', endDateTime }: Record<string, string>): Reply {
    if (!this.keys.hasRoom(app)) return refusal(400, 'Directory_ResourceSizeExceeded');
    this.change(app);
    const key = this.add(app, displayName);
    this.ends.set(key.id, endDateTime);
    const { id, value } = key;
    return {
      status: 200,
      body: { keyId: id, secretText: value, hint: value.slice(0, 3), displayName, endDateTime },
    };
  }

  private remove(app: string, id: string): Reply {
    if (this.keys.all.get(id)?.owner !== app) return refusal(400, 'Request_BadRequest');
    this.change(app);
    this.keys.all.delete(id);
    return { status: 204 };
  }

  private change(app: string): void {
    this.#shown.set(app, { keys: this.keys.of(app), looks: this.lag });
  }
}

function refusal(status: number, code: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { error: { code, message: 'not for abc8Q~quoted-by-the-upstream' } } };
}

function denial(status: number, error: string, code: number): Reply {
  const description = `AADSTS${code}: not with abc8Q~quoted-by-the-upstream`;
  return { status, body: { error, error_description: description, error_codes: [code] } };
}

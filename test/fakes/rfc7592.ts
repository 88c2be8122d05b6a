import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import { newKey, thumbprint } from '../../shared/providers/http/client-assertion.ts';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

type Jwk = JsonWebKey & { readonly kid?: string };

/** An authorization server: registrations that clients manage (RFC 7592), and a token endpoint, at `/`, that lets clients in by a key. */
export class FakeRegistrations implements AsyncDisposable {
  readonly accessToken = 'reg-access-token-of-the-test';
  /** Keys by their client. */
  readonly keys: FakeKeys = new FakeKeys();
  readonly server: UpstreamServer;
  /** What a client was registered with beside its keys, as it was sent last. */
  readonly registered: Map<string, object> = new Map();
  /** The server gives another access token with each change, as RFC 7592 allows. */
  rotatesToken = false;
  /** It does so with each look. */
  rotatesTokenOnRead = false;
  /** It lets in whoever has any key, as one does that doesn't authenticate the client at all. */
  isOpen = false;
  /** It drops what it is sent in `jwks`. */
  keepsNoKeys = false;
  readonly #public = new Map<string, Jwk>();
  readonly #tokens = new Map<string, string>();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeRegistrations> {
    const fake: { current?: FakeRegistrations } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeRegistrations(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The administrative secret for a client. */
  admin(url: string, clientId: string): Record<'registrationClientUri' | 'registrationAccessToken', string> {
    return { registrationClientUri: `${url}/reg/${clientId}`, registrationAccessToken: this.accessToken };
  }

  /** A key as a person registers it. */
  add(clientId: string, kid: string): FakeKey & { readonly privateKey: string } {
    const { value, publicKey } = newKey(kid);
    return { ...this.#learn(clientId, publicKey), privateKey: value };
  }

  /** Whether a client is let in by a private key, asked as it would ask. */
  async takes(clientId: string, privateKey: string): Promise<boolean> {
    const key = JSON.parse(privateKey) as Jwk;
    const live = this.#public.get(thumbprint({ ...key }));
    const owner = this.keys.all.get(thumbprint({ ...key }))?.owner;
    return Promise.resolve(live !== undefined && owner === clientId);
  }

  private answer(asked: Asked): Reply {
    const { method, path } = asked;
    if (method === 'POST' && path === '/') return this.token(asked);
    const [, clientId = ''] = /^\/reg\/([^/]+)$/.exec(path) ?? [];
    if (clientId === '') return { status: 404, body: { error: 'not_found' } };
    if (bearerOf(asked) !== this.tokenOf(clientId)) return refusal(401, 'invalid_token');
    const replaces = method === 'GET' ? this.rotatesTokenOnRead : this.rotatesToken;
    if (method === 'GET') return this.shownAs(clientId, replaces);
    if (method !== 'PUT') return refusal(405, 'invalid_request');
    const body = (asked.body ?? {}) as { client_id?: string; jwks?: { keys?: Jwk[] } };
    const forbidden = ['registration_access_token', 'registration_client_uri', 'client_id_issued_at'];
    if (forbidden.some((field) => field in body)) return refusal(400, 'invalid_request');
    if (body.client_id !== clientId) return refusal(400, 'invalid_request');
    const keys = body.jwks?.keys ?? [];
    if (keys.length === 0) return refusal(400, 'invalid_client_metadata');
    if (keys.length > this.keys.room) return refusal(400, 'invalid_client_metadata');
    this.change(clientId, keys);
    const { jwks: _keys, ...rest } = body;
    this.registered.set(clientId, rest);
    return this.shownAs(clientId, replaces);
  }

  private shownAs(clientId: string, replaces: boolean): Reply {
    if (replaces) this.#tokens.set(clientId, `${this.tokenOf(clientId)}-next`);
    return { status: 200, body: this.shown(clientId) };
  }

  private tokenOf(clientId: string): string {
    return this.#tokens.get(clientId) ?? this.accessToken;
  }

  private change(clientId: string, keys: readonly Jwk[]): void {
    const kept = new Set(keys.map((key) => thumbprint({ ...key })));
    for (const { id } of this.keys.of(clientId)) {
      if (kept.has(id)) continue;
      this.keys.all.delete(id);
      this.#public.delete(id);
    }
    if (this.keepsNoKeys) return;
    for (const key of keys) if (!this.keys.all.has(thumbprint({ ...key }))) this.#learn(clientId, key);
  }

  #learn(clientId: string, key: Jwk): FakeKey {
    const id = thumbprint({ ...key });
    this.#public.set(id, key);
    return this.keys.add(clientId, key.kid ?? '', '', id);
  }

  private shown(clientId: string): object {
    return {
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/callback'],
      ...this.registered.get(clientId),
      client_id: clientId,
      client_id_issued_at: 1_700_000_000,
      token_endpoint_auth_method: 'private_key_jwt',
      registration_client_uri: `${this.server.url}/reg/${clientId}`,
      registration_access_token: this.tokenOf(clientId),
      jwks: { keys: this.keys.of(clientId).flatMap(({ id }) => this.#public.get(id) ?? []) },
    };
  }

  private token({ body }: Asked): Reply {
    const form = (body ?? {}) as Record<string, string>;
    const signed = this.isOpen || this.isSigned(form);
    if (!signed) return refusal(401, 'invalid_client');
    return refusal(400, form['grant_type'] === 'refresh_token' ? 'invalid_grant' : 'unsupported_grant_type');
  }

  private isSigned({
    client_id: clientId = '',
    client_assertion: assertion = '',
  }: Record<string, string>): boolean {
    const [header = '', payload = '', signature = ''] = assertion.split('.');
    const claims = decoded(payload);
    const isOwn =
      claims['iss'] === clientId && claims['sub'] === clientId && Number(claims['exp']) * 1000 > Date.now();
    if (!isOwn || typeof claims['jti'] !== 'string') return false;
    const key = this.keys.of(clientId).find(({ id, name }) => {
      const jwk = this.#public.get(id);
      if (jwk === undefined || name !== decoded(header)['kid']) return false;
      const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
      const content = Buffer.from(`${header}.${payload}`);
      const bytes = Buffer.from(signature, 'base64url');
      return verify('sha256', content, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes);
    });
    return key !== undefined && this.keys.use(key.value);
  }
}

function decoded(part: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function refusal(status: number, error: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { error, error_description: 'not with reg-access-token-quoted-by-the-upstream' } };
}

import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, type Adapter, type AdapterPayload, type ClientMetadata } from 'oidc-provider';

/** How an authorization server behaves; all of it may be changed while it runs. */
export interface OidcBehaviour {
  /** Whether a refresh token is good for one use only, so that the answer to a refresh has the next one. */
  rotation: boolean;
  /** How long a spent refresh token is taken once more. Past it the whole family dies (reuse detection). */
  graceMs: number;
  /** Life of an access token. */
  accessTokenSeconds: number;
  /** Whether a client that updates its registration with client_secret gets another one (RFC 7592). */
  freshSecrets: boolean;
  /** What becomes of the next requests at the token endpoint, first one first. */
  readonly trouble: OidcTrouble[];
}

/** `before`: the connection breaks before anything is done. `lost`: all is done, but no answer goes out. */
export type OidcTrouble = 'before' | 'lost' | { readonly status: number; readonly body?: string } | 'none';

/** What a person answers who is asked for consent. */
export type Decision = 'allow' | 'deny';

/** Scopes that the server knows, beside those of OpenID Connect. */
export const SCOPES = ['tools:read', 'tools:write'] as const;
/** A client that Rekey runs for a family: its consent comes back on a loopback address, whatever the port. */
export const CLIENT = {
  client_id: 'tools-fleet',
  client_secret: 'what-the-client-knows',
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'client_secret_basic',
} as const;
/** A client that acts for itself: no person consents. */
export const SERVICE_CLIENT = {
  client_id: 'tools-service',
  client_secret: 'what-the-service-knows',
  redirect_uris: [],
  grant_types: ['client_credentials'],
  response_types: [],
  token_endpoint_auth_method: 'client_secret_post',
} as const;

type Model = { readonly payload: AdapterPayload; readonly expiresAt: number; consumedAt?: number };

/**
 * A real authorization server, `oidc-provider`, on loopback: refresh tokens rotate and their reuse is detected, with a
 * grace that a test chooses; PKCE is required; clients are registered and managed (RFC 7591, 7592), tokens revoked
 * (RFC 7009). A person's consent is scripted.
 */
export class OidcServer implements AsyncDisposable {
  readonly behaviour: OidcBehaviour = {
    rotation: true,
    graceMs: 0,
    accessTokenSeconds: 3600,
    freshSecrets: true,
    trouble: [],
  };
  /** Secrets by client, which a person makes and deletes; of a client that isn't here that of its registration. */
  readonly secrets = new Map<string, Set<string>>(
    [CLIENT, SERVICE_CLIENT].map((each) => [each.client_id, new Set([each.client_secret])]),
  );
  /** Families that died because a spent refresh token came again. */
  readonly revokedByReuse = new Set<string>();
  /** Families that were revoked on request (RFC 7009). */
  readonly revokedOnRequest = new Set<string>();
  /** Refreshes that gave tokens. */
  refreshes = 0;
  /** Requests at the token endpoint, by grant type; `unread` where the connection broke first. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #models = new Map<string, Model>();
  #decision: Decision = 'allow';
  #provider: Provider | undefined;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(clients: readonly ClientMetadata[] = []): Promise<OidcServer> {
    const oidc = new OidcServer();
    await new Promise<void>((resolve) => oidc.#server.listen(0, '127.0.0.1', resolve));
    oidc.#provider = await oidc.#build([...clients, structured(CLIENT), structured(SERVICE_CLIENT)]);
    return oidc;
  }

  /** The issuer; its metadata are below `/.well-known/`. */
  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * Goes where a browser would with a person before it who decides: through login and consent to the redirect address,
   * which is asked in the end, and whose answer is given.
   */
  async browse(authorizationUrl: string, decision: Decision = 'allow'): Promise<Response> {
    return fetch(await this.consent(authorizationUrl, decision));
  }

  /** The same, up to the address to which the browser is sent at last. */
  async consent(authorizationUrl: string, decision: Decision = 'allow'): Promise<string> {
    const cookies = new Map<string, string>();
    let url = authorizationUrl;
    for (let hops = 0; hops < 10; hops++) {
      if (new URL(url).origin !== this.issuer) return url;
      this.#decision = decision;
      const answer = await fetch(url, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      });
      for (const cookie of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        cookies.set(name, value);
      }
      const next = answer.headers.get('location');
      if (next === null) throw new Error(`no redirect but ${answer.status}: ${await answer.text()}`);
      url = new URL(next, url).href;
    }
    throw new Error('the browser is sent in a circle');
  }

  /** Whether an access token is taken now. */
  async isLive(accessToken: string): Promise<boolean> {
    const provider = this.#ready();
    const found =
      (await provider.AccessToken.find(accessToken)) ?? (await provider.ClientCredentials.find(accessToken));
    return found?.isValid === true;
  }

  /** Ends an access token, as its life does. */
  async forget(accessToken: string): Promise<void> {
    await (await this.#ready().AccessToken.find(accessToken))?.destroy();
  }

  /** Withdraws every consent, as a person does in the settings of their account. */
  async revokeAll(): Promise<void> {
    const { AccessToken, RefreshToken, Grant } = this.#ready();
    for (const [key, { payload }] of this.#models) {
      if (payload.grantId === undefined) continue;
      if (!key.startsWith('RefreshToken:')) continue;
      await Promise.all(
        [AccessToken, RefreshToken].map((model) => model.revokeByGrantId(payload.grantId ?? '')),
      );
      await (await Grant.find(payload.grantId))?.destroy();
    }
  }

  /** What a resource server learns of an access token that it takes: scopes and audience. */
  async introspect(accessToken: string): Promise<{ scopes: string[]; audience: string[]; clientId: string }> {
    const provider = this.#ready();
    const found =
      (await provider.AccessToken.find(accessToken)) ?? (await provider.ClientCredentials.find(accessToken));
    if (found?.isValid !== true) throw new Error('no such access token');
    return {
      scopes: [...found.scopes],
      audience: [found.aud ?? []].flat(),
      clientId: found.clientId ?? '',
    };
  }

  /** Registers a client (RFC 7591); the answer has its secret and how its registration is managed. */
  async register(client: object): Promise<Record<string, string>> {
    const { InitialAccessToken } = this.#ready();
    const mayRegister = await new InitialAccessToken({ policies: ['fresh'] }).save();
    const answer = await fetch(`${this.issuer}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${mayRegister}` },
      body: JSON.stringify(client),
    });
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, string>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', this.issuer).pathname;
    if (path.startsWith('/interaction/')) return this.#interact(request, response);
    if (path === '/token') {
      const trouble = this.behaviour.trouble.shift() ?? 'none';
      if (trouble === 'before') return void request.socket.destroy();
      // What is written goes nowhere: the connection breaks when all of it has been done.
      if (trouble === 'lost') response.end = () => (request.socket.destroy(), response);
      else if (trouble !== 'none')
        return void response.writeHead(trouble.status).end(trouble.body ?? 'trouble');
    }
    await this.#ready().callback()(request, response);
  }

  /** The person before the browser: logs in and decides, in one. */
  async #interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const provider = this.#ready();
    const { params, prompt } = await provider.interactionDetails(request, response);
    if (this.#decision === 'deny') {
      const refusal = { error: 'access_denied', error_description: 'the person said no' };
      return provider.interactionFinished(request, response, refusal);
    }
    if (prompt.name === 'login') {
      return provider.interactionFinished(request, response, { login: { accountId: 'ada' } });
    }
    const asked = params as { client_id: string; scope?: string; resource?: string | string[] };
    const grant = new provider.Grant({ accountId: 'ada', clientId: asked.client_id });
    grant.addOIDCScope(asked.scope ?? '');
    for (const resource of [asked.resource ?? []].flat()) grant.addResourceScope(resource, asked.scope ?? '');
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  }

  async #build(clients: ClientMetadata[]): Promise<Provider> {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    const provider = new Provider(this.issuer, {
      adapter: (name) => new Memory(name, this.#models, () => this.behaviour.graceMs),
      clients,
      cookies: { keys: [randomBytes(16).toString('hex')] },
      jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig' }] },
      scopes: ['openid', 'offline_access', ...SCOPES],
      pkce: { required: () => true },
      findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
      issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
      rotateRefreshToken: () => this.behaviour.rotation,
      ttl: {
        AccessToken: () => this.behaviour.accessTokenSeconds,
        ClientCredentials: () => this.behaviour.accessTokenSeconds,
        AuthorizationCode: 60,
        Grant: 14 * 86_400,
        IdToken: 3600,
        Interaction: 600,
        RefreshToken: 14 * 86_400,
        Session: 600,
      },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        revocation: {
          enabled: true,
          allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
        },
        registration: {
          enabled: true,
          initialAccessToken: true,
          policies: {
            fresh: (_ctx, client) => {
              const isNew = this.behaviour.freshSecrets && client.client_secret !== undefined;
              if (isNew) client.client_secret = randomBytes(32).toString('base64url');
            },
          },
        },
        registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_ctx, audience) => ({
            audience,
            scope: SCOPES.join(' '),
            accessTokenFormat: 'opaque',
            accessTokenTTL: this.behaviour.accessTokenSeconds,
          }),
          useGrantedResource: () => true,
        },
      },
    });
    const { secrets } = this;
    provider.Client.prototype.compareClientSecret = function (actual) {
      return secrets.get(this.clientId)?.has(actual) ?? actual === this.clientSecret;
    };
    this.#count(provider);
    return provider;
  }

  /** Makes a secret of a client beside those that it has, as a person does. */
  newSecret(clientId: string): string {
    const made = randomBytes(32).toString('base64url');
    this.secrets.set(clientId, (this.secrets.get(clientId) ?? new Set()).add(made));
    return made;
  }

  #count(provider: Provider): void {
    provider.use(async (ctx, next) => {
      await next();
      if (ctx.path === '/token') this.asked.push(String(ctx['oidc']?.params?.grant_type ?? 'unread'));
    });
    const ended = new Map<object, string>();
    provider.on('grant.revoked', (ctx, grantId) => {
      ended.set(ctx, grantId);
      if (ctx.path !== '/token') this.revokedOnRequest.add(grantId);
    });
    provider.on('grant.error', (ctx) => {
      const grantId = ended.get(ctx);
      if (grantId !== undefined) this.revokedByReuse.add(grantId);
    });
    provider.on('grant.success', (ctx) => {
      if (ctx.oidc.params?.['grant_type'] === 'refresh_token') this.refreshes++;
    });
  }

  #ready(): Provider {
    if (this.#provider === undefined) throw new Error('the server is not up yet');
    return this.#provider;
  }
}

/** The server's memory. A refresh token that was spent is spent for good once the grace is over. */
class Memory implements Adapter {
  readonly #name: string;
  readonly #models: Map<string, Model>;
  readonly #graceMs: () => number;

  constructor(name: string, models: Map<string, Model>, graceMs: () => number) {
    this.#name = name;
    this.#models = models;
    this.#graceMs = graceMs;
  }

  upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const expiresAt = expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000;
    this.#models.set(`${this.#name}:${id}`, { payload, expiresAt });
    return Promise.resolve();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    const found = this.#models.get(`${this.#name}:${id}`);
    if (found === undefined || found.expiresAt <= Date.now()) return Promise.resolve(undefined);
    const { payload, consumedAt } = found;
    if (consumedAt === undefined) return Promise.resolve(payload);
    const isInGrace = this.#name === 'RefreshToken' && Date.now() - consumedAt < this.#graceMs();
    return Promise.resolve(isInGrace ? payload : { ...payload, consumed: Math.floor(consumedAt / 1000) });
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#findBy((payload) => payload.uid === uid);
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#findBy((payload) => payload.userCode === userCode);
  }

  consume(id: string): Promise<void> {
    const found = this.#models.get(`${this.#name}:${id}`);
    // Of two that spend it within the grace, the first one begins it.
    if (found !== undefined) found.consumedAt ??= Date.now();
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#models.delete(`${this.#name}:${id}`);
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, { payload }] of this.#models) {
      if (key.startsWith(`${this.#name}:`) && payload.grantId === grantId) this.#models.delete(key);
    }
    return Promise.resolve();
  }

  #findBy(isIt: (payload: AdapterPayload) => boolean): Promise<AdapterPayload | undefined> {
    const mine = [...this.#models].filter(([key]) => key.startsWith(`${this.#name}:`));
    const [key] = mine.find(([, { payload }]) => isIt(payload)) ?? [];
    return key === undefined ? Promise.resolve(undefined) : this.find(key.slice(this.#name.length + 1));
  }
}

/** A plain copy: the server fills in what is missing. */
function structured(client: object): ClientMetadata {
  return structuredClone(client) as ClientMetadata;
}

import { importJWK, type JWK } from 'jose';
import * as oauth from 'oauth4webapi';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { covers } from '../domain/hosts.ts';
import type { Redacted } from '../domain/redacted.ts';
import { revocationOf, tokensOf, Unspent, type PlainAnswer, type TokenSet } from '../domain/token-answer.ts';
import { parseBaseUrl, publicLookup, refusedAddress } from '../http/address.ts';
import { exchange } from '../http/exchange.ts';
import type {
  AuthorizationServer,
  ClientSecret,
  ConsentAddress,
  ConsentGiven,
  ConsentRequest,
  GrantTerms,
  TokenKind,
} from '../ports/authorization-server.ts';
import { REKEY_VERSION } from '../version.ts';

/** For a request with what it has to look up before; well below the shortest lease of a family. */
const TIMEOUT_MS = 12_000;
/** Metadata of large servers have some 10 KB, answers with tokens less. */
const MAX_BYTES = 256 * 1024;

/** Bounds of the calls of a server. */
export interface OAuthServerOptions {
  /** Hosts that may have private addresses, as the setting `privateUpstreams` names them. */
  readonly privateHosts: readonly string[];
  /** For one request with what it has to look up before, in milliseconds. */
  readonly timeoutMs?: number;
}

type Endpoint = 'tokenEndpoint' | 'authorizationEndpoint' | 'revocationEndpoint';
const ENDPOINTS = {
  tokenEndpoint: 'token_endpoint',
  authorizationEndpoint: 'authorization_endpoint',
  revocationEndpoint: 'revocation_endpoint',
} as const satisfies Record<Endpoint, keyof oauth.AuthorizationServer>;

/**
 * Authorization servers over HTTP. Requests are written by `oauth4webapi`, answers read by Rekey: the library's errors carry
 * them whole. No redirect is followed and no private address reached, and nothing that a server writes is passed on.
 */
export class OAuthServer implements AuthorizationServer {
  readonly #privateHosts: readonly string[];
  readonly #timeoutMs: number;

  constructor({ privateHosts, timeoutMs = TIMEOUT_MS }: OAuthServerOptions) {
    this.#privateHosts = privateHosts;
    this.#timeoutMs = timeoutMs;
  }

  async consentAddress(terms: GrantTerms, request: ConsentRequest): Promise<ConsentAddress> {
    const call = this.#call(terms);
    const server = await call.server();
    const url = call.endpoint(server, 'authorizationEndpoint');
    if (url === undefined) throw missing(terms, 'authorizationEndpoint');
    for (const [name, value] of Object.entries({
      response_type: 'code',
      client_id: terms.client.id,
      redirect_uri: request.redirectUri,
      state: request.state,
      code_challenge: request.codeChallenge,
      code_challenge_method: 'S256',
      ...scopeOf(terms),
      ...targetOf(terms),
    })) {
      url.searchParams.set(name, value);
    }
    return {
      url: url.href,
      ...(terms.server.issuer === undefined ? {} : { issuer: server.issuer }),
      sendsIssuer: server.authorization_response_iss_parameter_supported === true,
    };
  }

  exchange(
    terms: GrantTerms,
    secret: ClientSecret,
    { code, codeVerifier, redirectUri }: ConsentGiven,
  ): Promise<TokenSet> {
    return this.#tokens(terms, secret, 'authorization_code', {
      code: code.reveal(),
      code_verifier: codeVerifier.reveal(),
      redirect_uri: redirectUri,
      ...targetOf(terms),
    });
  }

  refresh(terms: GrantTerms, secret: ClientSecret, refreshToken: Redacted<string>): Promise<TokenSet> {
    // Without a scope, which means all that was granted: what was refused at the consent would be refused again.
    const form = { refresh_token: refreshToken.reveal(), ...targetOf(terms) };
    return this.#tokens(terms, secret, 'refresh_token', form);
  }

  clientCredentials(terms: GrantTerms, secret: ClientSecret): Promise<TokenSet> {
    return this.#tokens(terms, secret, 'client_credentials', { ...scopeOf(terms), ...targetOf(terms) });
  }

  async revoke(
    terms: GrantTerms,
    secret: ClientSecret,
    token: Redacted<string>,
    kind: TokenKind,
  ): Promise<'revoked' | 'unsupported'> {
    const call = this.#call(terms);
    const server = await call.server();
    const url = call.endpoint(server, 'revocationEndpoint');
    if (url === undefined) return 'unsupported';
    assertAllowed(terms, url, 'revocationEndpoint');
    const login = await loginOf(terms, secret);
    const response = await oauth.revocationRequest(
      server,
      { client_id: terms.client.id },
      login,
      token.reveal(),
      {
        ...call.options,
        additionalParameters: { token_type_hint: `${kind}_token` },
      },
    );
    return revocationOf(await plain(response), call.name);
  }

  async #tokens(
    terms: GrantTerms,
    secret: ClientSecret,
    grant: string,
    form: Record<string, string>,
  ): Promise<TokenSet> {
    const call = this.#call(terms);
    const server = await call.server();
    const url = call.endpoint(server, 'tokenEndpoint');
    if (url === undefined) throw missing(terms, 'tokenEndpoint');
    assertAllowed(terms, url, 'tokenEndpoint');
    const client = { client_id: terms.client.id };
    const login = await loginOf(terms, secret);
    const { options } = call;
    const response = await oauth.genericTokenEndpointRequest(server, client, login, grant, form, options);
    return tokensOf(await plain(response), call.name);
  }

  #call(terms: GrantTerms): Call {
    return new Call(terms, this.#privateHosts, performance.now() + this.#timeoutMs);
  }
}

/** One call of a server: all that it asks ends at the same instant. */
class Call {
  readonly #terms: GrantTerms;
  readonly #privateHosts: readonly string[];
  readonly #until: number;

  constructor(terms: GrantTerms, privateHosts: readonly string[], until: number) {
    this.#terms = terms;
    this.#privateHosts = privateHosts;
    this.#until = until;
  }

  /** What the server is called in messages: its host, which somebody has declared. */
  get name(): string {
    const { issuer, tokenEndpoint = '' } = this.#terms.server;
    const address = issuer ?? tokenEndpoint;
    return URL.canParse(address) ? new URL(address).host : 'the authorization server';
  }

  get options(): {
    [oauth.customFetch]: (url: string, init: FetchInit) => Promise<Response>;
    [oauth.allowInsecureRequests]: true;
  } {
    return {
      [oauth.customFetch]: (url, init) => this.#fetch(url, init),
      // Decided by parseBaseUrl: http to what the settings name on loopback, to nothing else.
      [oauth.allowInsecureRequests]: true,
    };
  }

  /** The server's metadata; what is declared goes before it. */
  async server(): Promise<oauth.AuthorizationServer> {
    const { issuer, tokenEndpoint, authorizationEndpoint, revocationEndpoint } = this.#terms.server;
    const declared = {
      ...(tokenEndpoint === undefined ? {} : { token_endpoint: tokenEndpoint }),
      ...(authorizationEndpoint === undefined ? {} : { authorization_endpoint: authorizationEndpoint }),
      ...(revocationEndpoint === undefined ? {} : { revocation_endpoint: revocationEndpoint }),
    };
    if (issuer === undefined) return { issuer: tokenEndpoint ?? '', ...declared };
    return { ...(await this.#metadata(new URL(this.#checked(issuer, 'server.issuer')))), ...declared };
  }

  /** An endpoint, where there is one that may be asked. */
  endpoint(server: oauth.AuthorizationServer, which: Endpoint): URL | undefined {
    const text = server[ENDPOINTS[which]];
    return text === undefined ? undefined : new URL(this.#checked(text, `server.${which}`));
  }

  /** Whatever fails here has spent nothing. */
  async #metadata(issuer: URL): Promise<oauth.AuthorizationServer> {
    for (const algorithm of ['oauth2', 'oidc'] as const) {
      const response = await oauth
        .discoveryRequest(issuer, { algorithm, ...this.options })
        .catch((error: unknown) => {
          if (!isRekeyError(error, 'ERR_UNAVAILABLE')) throw error;
          throw new Unspent(error.code, error.message, { remedy: 'it is tried again', cause: error.cause });
        });
      if (response.status !== 404) return await this.#metadataOf(issuer, response);
    }
    throw this.#withoutMetadata(404);
  }

  #withoutMetadata(status: number): Unspent {
    return new Unspent('ERR_REJECTED', `${this.name} publishes no metadata (${status})`, {
      field: 'server.issuer',
      remedy: 'name its tokenEndpoint, and for a consent its authorizationEndpoint, in place of the issuer',
    });
  }

  async #metadataOf(issuer: URL, response: Response): Promise<oauth.AuthorizationServer> {
    if (response.status >= 500 || response.status === 429) {
      throw new Unspent(
        'ERR_UNAVAILABLE',
        `${this.name} answers ${response.status} to a look at its metadata`,
        {
          remedy: 'it is tried again',
          retryAfterSeconds: retryAfterOf(response),
        },
      );
    }
    if (!response.ok) throw this.#withoutMetadata(response.status);
    try {
      return await oauth.processDiscoveryResponse(issuer, response);
    } catch {
      // Also where it names another issuer than was declared: then it speaks for somebody else.
      throw new RekeyError('ERR_REJECTED', `${this.name} publishes no metadata of this issuer`, {
        field: 'server.issuer',
        remedy: 'write the issuer to the letter as its metadata have it',
      });
    }
  }

  /** Refuses what may not be asked; the query of an endpoint is part of it (RFC 6749, 3.1). */
  #checked(text: string, field: string): string {
    const [address = ''] = text.split('?');
    parseBaseUrl(address, this.#privateHosts, field);
    return text;
  }

  async #fetch(url: string, { method, headers, body }: FetchInit): Promise<Response> {
    const { pathname, search } = new URL(url);
    try {
      const answer = await exchange(
        new URL(this.#checked(url, 'server')),
        {
          method,
          path: `${pathname}${search}`,
          headers: { ...headers, 'user-agent': `rekey/${REKEY_VERSION}` },
          ...(body instanceof URLSearchParams ? { body: body.toString() } : {}),
        },
        {
          timeoutMs: this.#until - performance.now(),
          maxBytes: MAX_BYTES,
          lookup: publicLookup(this.#privateHosts, 'server'),
        },
      );
      return responseOf(answer);
    } catch (error) {
      const refused = refusedAddress(error);
      if (refused !== undefined) throw refused;
      throw new RekeyError('ERR_UNAVAILABLE', `${this.name} has not answered`, {
        remedy: 'it is tried again; if it goes on, look whether the server is up',
        cause: error,
      });
    }
  }
}

interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/** An answer as the library takes it, with the headers that somebody reads. */
function responseOf({ status, text, headers }: Awaited<ReturnType<typeof exchange>>): Response {
  const isEmpty = status === 204 || status === 205 || status === 304;
  if (status < 200 || status > 599) throw new Error('no status of HTTP');
  return new Response(isEmpty ? null : text, {
    status,
    headers: {
      'content-type': headers['content-type'] ?? '',
      ...(headers['retry-after'] === undefined ? {} : { 'retry-after': headers['retry-after'] }),
    },
  });
}

async function plain(response: Response): Promise<PlainAnswer> {
  return {
    status: response.status,
    text: await response.text(),
    retryAfterSeconds: retryAfterOf(response),
  };
}

/** In seconds, as servers say it that limit their clients; a date is left to whoever waits anyway. */
function retryAfterOf({ headers }: Response): number | undefined {
  const text = headers.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

function scopeOf({ scopes }: GrantTerms): { scope?: string } {
  return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

function targetOf({ resource, audience }: GrantTerms): { resource?: string; audience?: string } {
  return { ...(resource === undefined ? {} : { resource }), ...(audience === undefined ? {} : { audience }) };
}

/** How the client says who it is. @throws RekeyError ERR_ADMIN_DENIED where its secret can't be meant for that */
async function loginOf({ client }: GrantTerms, secret: ClientSecret): Promise<oauth.ClientAuth> {
  if (client.authentication === 'none') return oauth.None();
  if (secret === undefined) throw unusable('there is no secret for the client');
  switch (client.authentication) {
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(secret.reveal());
    case 'client_secret_post':
      return oauth.ClientSecretPost(secret.reveal());
    case 'private_key_jwt':
      return oauth.PrivateKeyJwt(await keyOf(secret), { [oauth.modifyAssertion]: asOthersTakeIt });
  }
}

/** Some servers refuse an assertion whose `nbf` is a second ahead of their clock, and most want one that lives for minutes. */
function asOthersTakeIt(_header: unknown, claims: Record<string, oauth.JsonValue | undefined>): void {
  delete claims['nbf'];
  claims['exp'] = Number(claims['iat']) + 300;
}

async function keyOf(secret: Redacted<string>): Promise<oauth.PrivateKey> {
  try {
    const jwk = JSON.parse(secret.reveal()) as JWK;
    const key = await importJWK(jwk, jwk.alg);
    if (key instanceof Uint8Array || key.type !== 'private') throw new Error('no private key');
    return { key, ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) };
  } catch {
    // What the parser says quotes the key.
    throw unusable('the secret of the client is no private key as a JWK with its alg');
  }
}

function unusable(problem: string): RekeyError {
  return new RekeyError('ERR_ADMIN_DENIED', problem, {
    field: 'client.secret',
    remedy: "write into it what the client's registration at the server has",
  });
}

/**
 * Refuses an endpoint that the client's secret isn't for, before anything is sent there. Never as a refusal of the client: then
 * its other versions would be tried.
 */
function assertAllowed({ client }: GrantTerms, { hostname }: URL, which: Endpoint): void {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (client.allowedHosts?.some((pattern) => covers(pattern, host)) !== false) return;
  throw new RekeyError('ERR_DECLARATION', `the secret of the client is not for the host of this ${which}`, {
    field: `server.${which}`,
    remedy:
      'declare the server for which it is, or have the host of this one added to the `allowedHosts` of the secret',
  });
}

function missing({ server }: GrantTerms, which: Endpoint): RekeyError {
  const where = server.issuer === undefined ? 'declaration' : 'metadata of the server';
  return new RekeyError('ERR_REJECTED', `the ${where} has no ${which}`, {
    field: `server.${which}`,
    remedy: 'declare it',
  });
}

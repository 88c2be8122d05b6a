import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { decodeJwt, exportJWK, generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OAuthServer } from '../../../shared/adapters/oauth-server.ts';
import { isRekeyError, type RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { Unspent, type TokenSet } from '../../../shared/domain/token-answer.ts';
import type { ConsentGiven, GrantTerms } from '../../../shared/ports/authorization-server.ts';
import { UpstreamServer, type Fault, type Reply } from '../../fakes/upstream.ts';
import { CLIENT, OidcServer, SERVICE_CLIENT } from '../../support/oidc.ts';

const REDIRECT = 'http://127.0.0.1:4711/callback';
const RESOURCE = 'https://tools.example';
const SECRET = new Redacted<string>(CLIENT.client_secret);
const REFRESH = new Redacted('the-refresh-token');
/** What is quoted by answers of broken servers. */
const QUOTED = 'sk-leaked-canary-0123456789';

async function refusal(work: Promise<unknown>): Promise<RekeyError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isRekeyError(error)) throw new Error(`no refusal but ${String(error)}`);
  return error;
}

describe('an authorization server, through a real one', () => {
  const server = new OAuthServer({ privateHosts: ['127.0.0.1'] });
  let oidc: OidcServer;
  let terms: GrantTerms;
  beforeEach(async () => {
    oidc = await OidcServer.start();
    terms = {
      server: { issuer: oidc.issuer },
      client: { id: CLIENT.client_id, authentication: 'client_secret_basic' },
      scopes: ['tools:read'],
      resource: RESOURCE,
    };
  });
  afterEach(() => oidc[Symbol.asyncDispose]());

  async function consent(of: GrantTerms = terms): Promise<ConsentGiven> {
    const codeVerifier = randomBytes(32).toString('base64url');
    const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
    const asked = await server.consentAddress(of, {
      redirectUri: REDIRECT,
      state: 'the-state',
      codeChallenge,
    });
    expect(asked).toMatchObject({ issuer: oidc.issuer, sendsIssuer: true });
    const back = new URL(await oidc.consent(asked.url)).searchParams;
    expect([back.get('state'), back.get('iss')]).toEqual(['the-state', oidc.issuer]);
    return {
      code: new Redacted(back.get('code') ?? ''),
      codeVerifier: new Redacted(codeVerifier),
      redirectUri: REDIRECT,
    };
  }

  async function connect(): Promise<TokenSet & { refreshToken: Redacted<string> }> {
    const tokens = await server.exchange(terms, SECRET, await consent());
    if (tokens.refreshToken === undefined) throw new Error('no refresh token');
    return { ...tokens, refreshToken: tokens.refreshToken };
  }

  test('a consent becomes tokens for the scopes and the resource that were asked for', async () => {
    const tokens = await connect();
    expect(tokens).toMatchObject({ tokenType: 'Bearer', expiresInSeconds: 3600, scope: 'tools:read' });
    expect(await oidc.introspect(tokens.accessToken.reveal())).toMatchObject({
      scopes: ['tools:read'],
      audience: [RESOURCE],
    });
  });

  test('a refresh gives the next access and refresh token; the one before is then nothing', async () => {
    const first = await connect();
    const second = await server.refresh(terms, SECRET, first.refreshToken);
    expect(await oidc.isLive(second.accessToken.reveal())).toBe(true);
    expect(second.refreshToken?.reveal()).not.toBe(first.refreshToken.reveal());
    expect(await refusal(server.refresh(terms, SECRET, first.refreshToken))).toMatchObject({
      code: 'ERR_CONSENT',
      retryable: false,
    });
    expect(oidc.revokedByReuse.size).toBe(1);
  });

  test('no call is repeated: a refresh whose answer is lost spends one token, once', async () => {
    const first = await connect();
    oidc.behaviour.trouble.push('lost');
    expect(await refusal(server.refresh(terms, SECRET, first.refreshToken))).toMatchObject({
      code: 'ERR_UNAVAILABLE',
    });
    expect(oidc.refreshes).toBe(1);
    expect(oidc.revokedByReuse.size).toBe(0);
  });

  test('a revoked refresh token takes its family along', async () => {
    const first = await connect();
    expect(await server.revoke(terms, SECRET, first.refreshToken, 'refresh')).toBe('revoked');
    expect(await oidc.isLive(first.accessToken.reveal())).toBe(false);
    expect(oidc.revokedOnRequest.size).toBe(1);
    expect(await server.revoke(terms, SECRET, first.refreshToken, 'refresh'), 'and once more').toBe(
      'revoked',
    );
  });

  test('a code is good for one exchange and with its own verifier only', async () => {
    const given = await consent();
    const foreign = { ...given, codeVerifier: new Redacted('v'.repeat(43)) };
    expect(await refusal(server.exchange(terms, SECRET, foreign))).toMatchObject({ code: 'ERR_CONSENT' });
    const other = await consent();
    await server.exchange(terms, SECRET, other);
    expect(await refusal(server.exchange(terms, SECRET, other))).toMatchObject({ code: 'ERR_CONSENT' });
  });

  test('a client whose secret is wrong is told apart from a grant that is', async () => {
    const first = await connect();
    const denied = { code: 'ERR_ADMIN_DENIED', field: 'client' };
    const wrong = new Redacted('wrong');
    expect(await refusal(server.refresh(terms, wrong, first.refreshToken))).toMatchObject(denied);
    expect(await refusal(server.revoke(terms, wrong, first.refreshToken, 'refresh'))).toMatchObject(denied);
    expect(await refusal(server.refresh(terms, undefined, first.refreshToken))).toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      field: 'client.secret',
    });
    expect(await server.refresh(terms, SECRET, first.refreshToken)).toHaveProperty('accessToken');
  });

  test('a client that acts for itself needs nobody', async () => {
    const own = {
      ...terms,
      client: { id: SERVICE_CLIENT.client_id, authentication: 'client_secret_post' },
    } as const;
    const secret = new Redacted<string>(SERVICE_CLIENT.client_secret);
    const tokens = await server.clientCredentials(own, secret);
    expect(tokens.refreshToken).toBeUndefined();
    expect(await oidc.isLive(tokens.accessToken.reveal())).toBe(true);
  });

  test('a client says who it is with its key, and nothing else is taken for one', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const { client_id: id = '' } = await oidc.register({
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'first', alg: 'ES256', use: 'sig' }] },
    });
    const own = { ...terms, client: { id, authentication: 'private_key_jwt' } } as const;
    const jwk = { ...(await exportJWK(privateKey)), kid: 'first', alg: 'ES256' };
    const tokens = await server.clientCredentials(own, new Redacted(JSON.stringify(jwk)));
    expect(await oidc.introspect(tokens.accessToken.reveal())).toMatchObject({ clientId: id });
    for (const text of [
      'no key',
      '{"kty":"oct","k":"AAAA","alg":"HS256"}',
      JSON.stringify({ ...jwk, d: undefined }),
    ]) {
      const error = await refusal(server.clientCredentials(own, new Redacted(text)));
      expect(error).toMatchObject({ code: 'ERR_ADMIN_DENIED', field: 'client.secret' });
      expect(inspect(error)).not.toContain(text);
    }
  });

  test('an endpoint that is declared goes before that of the metadata, and its query is kept', async () => {
    const request = { redirectUri: REDIRECT, state: 's', codeChallenge: 'c' };
    const authorizationEndpoint = 'https://login.example/authorize?policy=agents';
    const asked = await server.consentAddress(
      { ...terms, server: { ...terms.server, authorizationEndpoint } },
      request,
    );
    expect(asked.url).toMatch(/^https:\/\/login\.example\/authorize\?policy=agents&response_type=code&/);
  });

  test('metadata of another issuer are refused', async () => {
    const impostor = await UpstreamServer.start(() => ({
      status: 200,
      body: { issuer: oidc.issuer, token_endpoint: `${oidc.issuer}/token` },
    }));
    const error = await refusal(
      server.refresh({ ...terms, server: { issuer: impostor.url } }, SECRET, REFRESH),
    );
    expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'server.issuer' });
    await impostor[Symbol.asyncDispose]();
  });
});

describe('an authorization server that misbehaves', () => {
  const server = new OAuthServer({ privateHosts: ['127.0.0.1'], timeoutMs: 400 });
  let reply: Reply;
  let sent: string[];
  let upstream: UpstreamServer;
  let terms: GrantTerms;
  beforeEach(async () => {
    reply = { status: 200, body: { access_token: 'at', token_type: 'bearer' } };
    sent = [];
    upstream = await UpstreamServer.start(({ text }) => {
      sent.push(text);
      return reply;
    });
    terms = {
      server: { tokenEndpoint: `${upstream.url}/token`, revocationEndpoint: `${upstream.url}/revoke` },
      client: { id: 'c', authentication: 'client_secret_post' },
      scopes: [],
    };
  });
  afterEach(() => upstream[Symbol.asyncDispose]());

  const refresh = (): Promise<TokenSet> => server.refresh(terms, SECRET, REFRESH);

  const STATUSES: Readonly<Record<string, readonly Reply[]>> = {
    ERR_UNAVAILABLE: [
      { status: 500 },
      { status: 503, body: { error: 'invalid_grant', error_description: QUOTED } },
      { status: 429, headers: { 'retry-after': '600' } },
      { status: 400, body: { error: 'temporarily_unavailable' } },
      { status: 200, body: { ok: false, error: 'ratelimited' } },
      { status: 200, body: QUOTED },
      { status: 200, body: { access_token: 7 } },
      { status: 200, body: { access_token: `two\r\nlines ${QUOTED}` } },
      { status: 200, body: [] },
      { status: 204 },
    ],
    ERR_CONSENT: [
      { status: 400, body: { error: 'invalid_grant', error_description: QUOTED } },
      { status: 403, body: { error: 'invalid_grant' } },
      { status: 401, body: { error: 'invalid_grant' } },
      // Slack and GitHub.
      { status: 200, body: { ok: false, error: 'invalid_refresh_token' } },
      { status: 200, body: { error: 'bad_refresh_token', error_description: QUOTED } },
    ],
    ERR_ADMIN_DENIED: [
      { status: 401, body: { error: 'invalid_client' } },
      { status: 400, body: { error: 'unauthorized_client', error_description: QUOTED } },
      { status: 401, body: QUOTED, headers: { 'www-authenticate': `Basic realm="${QUOTED}"` } },
      { status: 200, body: { ok: false, error: 'bad_client_secret' } },
    ],
    ERR_REJECTED: [
      { status: 400, body: { error: QUOTED } },
      { status: 400, body: { error: 'invalid_scope' } },
      { status: 404, body: QUOTED },
      { status: 302, headers: { location: 'http://127.0.0.1/elsewhere' } },
      { status: 200, body: { ok: false, error: 'no_such_thing' } },
      { status: 200, body: { ok: false } },
      { status: 200, body: { access_token: 'at', token_type: 'DPoP' } },
    ],
  };
  for (const [code, replies] of Object.entries(STATUSES)) {
    for (const each of replies) {
      test(`${each.status} with ${JSON.stringify(each.body) ?? 'nothing'} is ${code}, asked once`, async () => {
        reply = each;
        const error = await refusal(refresh());
        expect(error.code).toBe(code);
        expect(inspect(error, { depth: 9 })).not.toContain(QUOTED);
        expect(inspect(error, { depth: 9 })).not.toContain(REFRESH.reveal());
        expect(upstream.asked).toHaveLength(1);
      });
    }
  }

  for (const kind of ['reset', 'hang', 'malformed', 'huge', 'not-http'] satisfies Fault['kind'][]) {
    test(`an answer that is ${kind} is none, and comes out nowhere`, async () => {
      upstream.fail({ kind });
      const error = await refusal(refresh());
      expect(error.code).toBe('ERR_UNAVAILABLE');
      expect(inspect(error, { depth: 9 })).not.toContain(QUOTED);
      expect(inspect(error, { depth: 9 })).not.toContain(REFRESH.reveal());
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET.reveal());
    });
  }

  test('tokens are read as servers write them', async () => {
    reply = {
      status: 200,
      body: { ok: true, access_token: 'xoxe.xoxb-1', token_type: 'bot', expires_in: '43200' },
    };
    expect(await refresh()).toMatchObject({ tokenType: 'Bearer', expiresInSeconds: 43_200 });
    reply = {
      status: 200,
      body: { access_token: 'at', refresh_token: null, scope: null, expires_in: 'soon' },
    };
    expect(Object.keys(await refresh()).sort()).toEqual(['accessToken', 'tokenType']);
  });

  test('what a server does not answer to a revocation is no revocation', async () => {
    const revoke = (): Promise<string> => server.revoke(terms, SECRET, REFRESH, 'refresh');
    reply = { status: 200 };
    expect(await revoke()).toBe('revoked');
    reply = { status: 400, body: { error: 'invalid_token' } };
    expect(await revoke(), 'dead already').toBe('revoked');
    reply = { status: 400, body: { error: 'unsupported_token_type' } };
    expect(await revoke()).toBe('unsupported');
    for (const [status, body, code] of [
      [503, undefined, 'ERR_UNAVAILABLE'],
      [404, undefined, 'ERR_REJECTED'],
      [401, { error: 'invalid_client' }, 'ERR_ADMIN_DENIED'],
      [200, { ok: false, error: 'not_authed' }, 'ERR_REJECTED'],
      [302, undefined, 'ERR_REJECTED'],
    ] as const) {
      reply = { status, body };
      expect(await refusal(revoke())).toMatchObject({ code });
    }
    terms = { ...terms, server: { tokenEndpoint: `${upstream.url}/token` } };
    expect(await revoke()).toBe('unsupported');
  });

  test('who is turned away at the door has spent nothing, for as long as the server says; after 5xx nobody knows', async () => {
    reply = { status: 429, headers: { 'retry-after': '600' } };
    const turnedAway = await refusal(refresh());
    expect([turnedAway instanceof Unspent, turnedAway]).toEqual([
      true,
      expect.objectContaining({ code: 'ERR_UNAVAILABLE', retryAfterSeconds: 600 }),
    ]);
    reply = { status: 200, body: { ok: false, error: 'ratelimited' } };
    expect(await refusal(refresh())).toBeInstanceOf(Unspent);
    reply = { status: 503, headers: { 'retry-after': '600' }, body: { error: 'slow_down' } };
    expect(await refusal(refresh())).not.toBeInstanceOf(Unspent);
  });

  test('whatever keeps the metadata from being read has spent nothing', async () => {
    terms = { ...terms, server: { issuer: upstream.url } };
    for (const status of [403, 404, 429, 503]) {
      reply = { status };
      expect([status, await refusal(refresh())]).toEqual([status, expect.any(Unspent)]);
    }
    terms = { ...terms, server: { issuer: 'http://127.0.0.1:1' } };
    expect(await refusal(refresh())).toBeInstanceOf(Unspent);
  });

  test('metadata are looked for at both places, and a server that is down is not one without', async () => {
    terms = { ...terms, server: { issuer: upstream.url } };
    reply = { status: 404 };
    expect(await refusal(refresh())).toMatchObject({ code: 'ERR_REJECTED', field: 'server.issuer' });
    expect(upstream.asked.map(({ path }) => path)).toEqual([
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
    ]);
    reply = { status: 503 };
    expect(await refusal(refresh())).toMatchObject({ code: 'ERR_UNAVAILABLE' });
    reply = { status: 200, body: { issuer: upstream.url } };
    expect(await refusal(refresh())).toMatchObject({ code: 'ERR_REJECTED', field: 'server.tokenEndpoint' });
  });

  test('a revocation says what kind of token it is', async () => {
    for (const kind of ['access', 'refresh'] as const) await server.revoke(terms, SECRET, REFRESH, kind);
    const hints = sent.map((text) => new URLSearchParams(text).get('token_type_hint'));
    expect(hints).toEqual(['access_token', 'refresh_token']);
  });

  test('an assertion has no beginning, which clocks disagree about, and lives for five minutes', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const key = new Redacted(JSON.stringify({ ...(await exportJWK(privateKey)), alg: 'ES256' }));
    const own = { ...terms, client: { id: 'c', authentication: 'private_key_jwt' } } as const;
    await server.clientCredentials(own, key);
    const form = new URLSearchParams(sent[0]);
    const { iat = 0, ...claims } = decodeJwt(form.get('client_assertion') ?? '');
    expect(claims).toMatchObject({ iss: 'c', exp: iat + 300 });
    expect(claims).not.toHaveProperty('nbf');
  });

  test('the secret of a client is sent to the hosts that it names alone, whoever names the endpoint', async () => {
    const client = { id: 'c', authentication: 'client_secret_post' } as const;
    const at = (allowedHosts: readonly string[]) => ({ ...terms, client: { ...client, allowedHosts } });
    const refused = { code: 'ERR_DECLARATION', field: 'server.tokenEndpoint', retryable: false };
    for (const hosts of [[], ['login.example'], ['*.127.0.0.1'], ['127.0.0.1.example']]) {
      expect(await refusal(server.refresh(at(hosts), SECRET, REFRESH))).toMatchObject(refused);
      expect(await refusal(server.clientCredentials(at(hosts), SECRET))).toMatchObject(refused);
      expect(await refusal(server.revoke(at(hosts), SECRET, REFRESH, 'refresh'))).toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'server.revocationEndpoint',
      });
    }
    expect(upstream.asked).toEqual([]);
    reply = {
      status: 200,
      body: { issuer: upstream.url, token_endpoint: 'https://elsewhere.example/token' },
    };
    const named = { ...at(['127.0.0.1']), server: { issuer: upstream.url } };
    expect(await refusal(server.refresh(named, SECRET, REFRESH))).toMatchObject(refused);
    reply = { status: 200, body: { access_token: 'at', token_type: 'bearer' } };
    expect(await server.refresh(at(['login.example', '127.0.0.1']), SECRET, REFRESH)).toHaveProperty(
      'accessToken',
    );
  });

  test('nothing is sent to an address that is not public, whoever names it', async () => {
    const strict = new OAuthServer({ privateHosts: [] });
    const declaration = { code: 'ERR_DECLARATION' };
    for (const tokenEndpoint of [
      `${upstream.url}/token`,
      'https://169.254.169.254/token',
      'https://[::1]/token',
      'https://user:pass@login.example/token',
      'http://login.example/token',
      'https://localhost/token',
    ]) {
      const to = { ...terms, server: { tokenEndpoint } };
      expect(await refusal(strict.refresh(to, SECRET, REFRESH)), tokenEndpoint).toMatchObject(declaration);
    }
    for (const endpoint of ['https://10.0.0.7/token', 'http://login.example/token', 'file:///etc/passwd']) {
      reply = {
        status: 200,
        body: {
          issuer: upstream.url,
          token_endpoint: endpoint,
          revocation_endpoint: endpoint,
          authorization_endpoint: endpoint,
        },
      };
      const to = { ...terms, server: { issuer: upstream.url } };
      const request = { redirectUri: REDIRECT, state: 's', codeChallenge: 'c' };
      expect(await refusal(server.refresh(to, SECRET, REFRESH)), endpoint).toMatchObject(declaration);
      expect(await refusal(server.revoke(to, SECRET, REFRESH, 'refresh')), endpoint).toMatchObject(
        declaration,
      );
      expect(await refusal(server.consentAddress(to, request)), endpoint).toMatchObject(declaration);
    }
    expect(upstream.asked.every(({ path }) => path.startsWith('/.well-known/'))).toBe(true);
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT, OidcServer, SERVICE_CLIENT } from '../../support/oidc.ts';

const REDIRECT = 'http://127.0.0.1:4711/callback';
const BASIC = `Basic ${btoa(`${CLIENT.client_id}:${CLIENT.client_secret}`)}`;

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly error?: string;
}

let oidc: OidcServer;
beforeEach(async () => {
  oidc = await OidcServer.start();
});
afterEach(() => oidc[Symbol.asyncDispose]());

async function token(form: Record<string, string>, authorization = BASIC): Promise<Tokens> {
  const answer = await fetch(`${oidc.issuer}/token`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });
  return (await answer.json()) as Tokens;
}

function refresh(refreshToken: string): Promise<Tokens> {
  return token({ grant_type: 'refresh_token', refresh_token: refreshToken });
}

function authorizationUrl(verifier: string): string {
  const url = new URL('/auth', oidc.issuer);
  url.search = new URLSearchParams({
    client_id: CLIENT.client_id,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'tools:read offline_access',
    state: 'the-state',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource: 'https://tools.example',
  }).toString();
  return url.href;
}

async function connect(): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url');
  const back = new URL(await oidc.consent(authorizationUrl(verifier)));
  expect(back.searchParams.get('state')).toBe('the-state');
  return token({
    grant_type: 'authorization_code',
    code: back.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT,
    code_verifier: verifier,
  });
}

describe('the authorization server of the tests', () => {
  test('gives a family for a consent, and the next refresh token with every refresh', async () => {
    const first = await connect();
    expect(await oidc.introspect(first.access_token)).toEqual({
      scopes: ['tools:read'],
      audience: ['https://tools.example'],
      clientId: CLIENT.client_id,
    });
    const second = await refresh(first.refresh_token);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await oidc.isLive(second.access_token)).toBe(true);
    expect(oidc.refreshes).toBe(1);
  });

  test('revokes the whole family when a spent refresh token comes again, once', async () => {
    const first = await connect();
    const second = await refresh(first.refresh_token);
    expect(await refresh(first.refresh_token)).toMatchObject({ error: 'invalid_grant' });
    expect(await refresh(second.refresh_token)).toMatchObject({ error: 'invalid_grant' });
    expect(await oidc.isLive(second.access_token)).toBe(false);
    expect([oidc.revokedByReuse.size, oidc.revokedOnRequest.size]).toEqual([1, 0]);
  });

  test('takes a spent refresh token within its grace, and not after it', async () => {
    oidc.behaviour.graceMs = 60_000;
    const first = await connect();
    await refresh(first.refresh_token);
    const again = await refresh(first.refresh_token);
    expect(await oidc.isLive(again.access_token)).toBe(true);
    oidc.behaviour.graceMs = 0;
    expect(await refresh(first.refresh_token)).toMatchObject({ error: 'invalid_grant' });
    expect(oidc.revokedByReuse.size).toBe(1);
  });

  test('keeps the refresh token where it does not rotate', async () => {
    oidc.behaviour.rotation = false;
    const first = await connect();
    const second = await refresh(first.refresh_token);
    expect(second.refresh_token ?? first.refresh_token).toBe(first.refresh_token);
    expect(await refresh(first.refresh_token)).toHaveProperty('access_token');
  });

  test('spends the token although its answer is lost, and does nothing where the request is', async () => {
    const first = await connect();
    oidc.behaviour.trouble.push('before', 'lost');
    await expect(refresh(first.refresh_token)).rejects.toThrow();
    expect(oidc.refreshes).toBe(0);
    await expect(refresh(first.refresh_token)).rejects.toThrow();
    expect(oidc.refreshes).toBe(1);
    expect(await refresh(first.refresh_token)).toMatchObject({ error: 'invalid_grant' });
    expect(oidc.revokedByReuse.size).toBe(1);
  });

  test('revokes a family on request, and counts that apart', async () => {
    const first = await connect();
    const answer = await fetch(`${oidc.issuer}/token/revocation`, {
      method: 'POST',
      headers: { authorization: BASIC, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token: first.refresh_token }).toString(),
    });
    expect(answer.status).toBe(200);
    expect(await oidc.isLive(first.access_token)).toBe(false);
    expect([oidc.revokedByReuse.size, oidc.revokedOnRequest.size]).toEqual([0, 1]);
  });

  test('sends a person who says no back with the reason', async () => {
    const back = new URL(await oidc.consent(authorizationUrl('v'.repeat(43)), 'deny'));
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('iss')).toBe(oidc.issuer);
  });

  test('gives a client that acts for itself an access token and nothing to refresh', async () => {
    const given = await token(
      {
        grant_type: 'client_credentials',
        client_id: SERVICE_CLIENT.client_id,
        client_secret: SERVICE_CLIENT.client_secret,
        resource: 'https://tools.example',
        scope: 'tools:read',
      },
      '',
    );
    expect(await oidc.isLive(given.access_token)).toBe(true);
    expect(given).not.toHaveProperty('refresh_token');
  });

  test('registers a client and gives it another secret when it updates itself', async () => {
    const client = await oidc.register({ redirect_uris: ['https://agents.example/callback'] });
    expect(client['client_secret']).toMatch(/^.{20,}$/);
    const answer = await fetch(client['registration_client_uri'] ?? '', {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${client['registration_access_token']}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        client_id: client['client_id'],
        redirect_uris: ['https://agents.example/callback'],
      }),
    });
    const updated = (await answer.json()) as Record<string, string>;
    expect(updated['client_id']).toBe(client['client_id']);
    expect(updated['client_secret']).toMatch(/^.{20,}$/);
    expect(updated['client_secret']).not.toBe(client['client_secret']);
  });
});

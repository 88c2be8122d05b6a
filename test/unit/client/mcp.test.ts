import { createHash, randomBytes } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialSource } from '../../../client/src/credential-source.ts';
import { accessTokenExpiry, mcpOptions } from '../../../client/src/mcp.ts';
import { OAuthServer } from '../../../shared/adapters/oauth-server.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { TokenSet } from '../../../shared/domain/token-answer.ts';
import type { GrantTerms } from '../../../shared/ports/authorization-server.ts';
import type { FakeVault } from '../../fakes/fake-vault.ts';
import { sourceCase } from '../../support/client.ts';
import { McpTools } from '../../support/mcp.ts';
import { CLIENT, OidcServer } from '../../support/oidc.ts';

const SECRET = new Redacted<string>(CLIENT.client_secret);
const REDIRECT = 'http://127.0.0.1:4711/callback';
const oauth = new OAuthServer({ privateHosts: ['127.0.0.1'] });

let oidc: OidcServer;
let tools: McpTools;
let terms: GrantTerms;
let vault: FakeVault;
let source: CredentialSource;
let tokens: TokenSet;
let client: Client;

beforeEach(async () => {
  oidc = await OidcServer.start();
  tools = await McpTools.start((token) => oidc.isLive(token));
  terms = {
    server: { issuer: oidc.issuer },
    client: { id: CLIENT.client_id, authentication: 'client_secret_basic' },
    scopes: ['tools:read'],
  };
  tokens = await consented();
  ({ vault, source } = await sourceCase({ expiresAt: accessTokenExpiry }, textOf(tokens)));
  client = new Client({ name: 'agent', version: '1.0.0' });
});
afterEach(async () => {
  await client.close();
  await source[Symbol.asyncDispose]();
  await tools[Symbol.asyncDispose]();
  await oidc[Symbol.asyncDispose]();
});

async function consented(): Promise<TokenSet> {
  const codeVerifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
  const asked = await oauth.consentAddress(terms, { redirectUri: REDIRECT, state: 's', codeChallenge });
  const code = new URL(await oidc.consent(asked.url)).searchParams.get('code') ?? '';
  const given = { code: new Redacted(code), codeVerifier: new Redacted(codeVerifier), redirectUri: REDIRECT };
  return oauth.exchange(terms, SECRET, given);
}

/** What the coordinator puts into the vault. */
function textOf({ accessToken }: TokenSet): string {
  const access_token = accessToken.reveal();
  return JSON.stringify({ access_token, token_type: 'Bearer', expires_at: '2099-01-01T00:00:00Z' });
}

/** Puts it there; `seen` where the agent has read it already. */
async function deliver(next: TokenSet, seen = true): Promise<void> {
  vault.put(textOf(next), 'AWSCURRENT');
  if (seen) await source.refreshNow();
}

/** The next access token, as only the coordinator gets one. The server forgets the one before. */
async function refreshed(): Promise<TokenSet> {
  const before = tokens;
  if (before.refreshToken === undefined) throw new Error('no refresh token');
  tokens = await oauth.refresh(terms, SECRET, before.refreshToken);
  await oidc.forget(before.accessToken.reveal());
  return tokens;
}

async function connect(): Promise<void> {
  await client.connect(new StreamableHTTPClientTransport(tools.url, mcpOptions(source)));
}
const greet = () => client.callTool({ name: 'greet', arguments: {} });
const GREETING = { content: [{ type: 'text', text: 'hello' }] };

describe('an MCP client on tokens of the vault', () => {
  it('works with the access token, and has nothing to refresh it with', async () => {
    await connect();
    expect(await greet()).toEqual(GREETING);
    const given = await mcpOptions(source).authProvider.tokens();
    expect(given).toEqual({ access_token: tokens.accessToken.reveal(), token_type: 'Bearer' });
  });

  it('works on through refreshes, under the same transport, without a refused call', async () => {
    await connect();
    for (let round = 0; round < 3; round++) {
      await deliver(await refreshed());
      expect(await greet()).toEqual(GREETING);
    }
    expect(tools.presented.filter(({ taken }) => !taken)).toEqual([]);
    expect(new Set(tools.presented.map(({ token }) => token)).size).toBe(4);
  });

  it('finds the new token by itself where the server refuses the one that it knows, however many calls are under way', async () => {
    await connect();
    await deliver(await refreshed(), false);
    const all = await Promise.all(Array.from({ length: 20 }, greet));
    expect(all).toEqual(Array.from({ length: 20 }, () => GREETING));
    expect(oidc.asked.filter((grant) => grant === 'refresh_token')).toHaveLength(1);
    expect(oidc.revokedByReuse.size).toBe(0);
  });

  it('says ERR_CONSENT where the server takes no token, and asks nobody: no metadata, no browser, no other server', async () => {
    await connect();
    await refreshed();
    const asked = oidc.asked.length;
    await expect(greet()).rejects.toMatchObject({
      code: 'ERR_CONSENT',
      message: expect.stringContaining('agents/db'),
    });
    expect(tools.strayed).toEqual([]);
    expect(oidc.asked).toHaveLength(asked);
  });

  it('says ERR_CONSENT before it asks the server where the vault has no token, and works again after a consent', async () => {
    vault.put('{"error":"consent_needed","since":"2026-11-22T12:00:00.000Z"}', 'AWSCURRENT');
    await source.refreshNow();
    await expect(connect()).rejects.toMatchObject({
      code: 'ERR_CONSENT',
      remedy: expect.stringContaining('rekey connect'),
    });
    expect(tools.presented).toEqual([]);
    await deliver(await consented());
    await connect();
    expect(await greet()).toEqual(GREETING);
  });

  it('sends the token to the MCP server alone', async () => {
    const other = await McpTools.start(() => Promise.resolve(true));
    await mcpOptions(source).fetch(new URL('/.well-known/oauth-protected-resource', other.url));
    await mcpOptions(source).fetch(other.url, { headers: { authorization: 'Basic YTpi' } });
    expect(other.strayed).toEqual(['/.well-known/oauth-protected-resource']);
    expect(other.presented.map(({ token }) => token)).toEqual(['']);
    await other[Symbol.asyncDispose]();
  });

  it('is refused a token past its end without a request', async () => {
    const text = '{"access_token":"at","expires_at":"2026-11-25T12:00:30Z"}';
    const { time, source: stale } = await sourceCase({ expiresAt: accessTokenExpiry }, text);
    await time.pass(31);
    await expect(mcpOptions(stale).authProvider.tokens()).rejects.toMatchObject({ code: 'ERR_STALE' });
    await stale[Symbol.asyncDispose]();
  });
});

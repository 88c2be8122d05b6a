import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer } from '../../lambdas/control-api/routes.ts';
import { answerConsent, type ConsentCall } from '../../lambdas/refresh-families/consents.ts';
import { OAuthServer } from '../../shared/adapters/oauth-server.ts';
import type { FamilyTerms } from '../../shared/domain/families.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import { tend } from '../../shared/engine/families/tend.ts';
import { eventOf, fakeServices } from '../unit/api/fakes.ts';
import { rekey, startStandIn, type Ran, type Seen, type StandIn, type World } from '../unit/cli/stand-in.ts';
import { FamilyWorld, type FamilyCase } from '../support/family-world.ts';
import { CLIENT, OidcServer, SERVICE_CLIENT, type Decision } from '../support/oidc.ts';

let world: FamilyWorld;
let oidc: OidcServer;
beforeAll(async () => {
  world = await FamilyWorld.start();
  oidc = await OidcServer.start();
}, 180_000);
afterAll(async () => {
  await oidc[Symbol.asyncDispose]();
  await world.stop();
});

/** A registered family at the real server, and the command line before the API's and the coordinator's own code. */
class Connecting implements AsyncDisposable {
  readonly family: FamilyCase;
  readonly deps: FamilyDeps;
  readonly api: StandIn;

  private constructor(family: FamilyCase, api: StandIn) {
    this.family = family;
    this.api = api;
    const server = new OAuthServer({ privateHosts: ['127.0.0.1'] });
    this.deps = { ...family.deps, server };
    for (const part of ['consent-requests', 'consents']) {
      api.routes[`POST /v1/families/${family.name}/${part}`] = (seen) => this.#answer(seen);
    }
  }

  static async start(
    terms: Partial<FamilyTerms> = {},
    client: Partial<FamilyTerms['client']> = {},
  ): Promise<Connecting> {
    const family = await world.fresh({ server: { issuer: oidc.issuer }, ...terms });
    Object.assign(family.terms.client, { id: CLIENT.client_id, ...client });
    await family.rotateClient(CLIENT.client_secret, 'AWSCURRENT');
    await family.apply();
    return new Connecting(family, await startStandIn());
  }

  connect(more: World = this.person()): Promise<Ran> {
    return rekey(this.api, ['connect', this.family.name], more);
  }

  person(decision: Decision = 'allow'): World {
    return { browser: (url) => void oidc.browse(url, decision).catch(() => undefined) };
  }

  async token(): Promise<string> {
    return (await this.family.read())['access_token'] ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.close();
  }

  async #answer({ method, path, body }: Seen) {
    // As it comes through the invocation of a function.
    const asked = async (call: ConsentCall) =>
      JSON.parse(JSON.stringify(await answerConsent(this.deps, call))) as never;
    const services = {
      ...fakeServices(),
      askForConsent: (call: object) => asked({ action: 'ask-for-consent', ...call } as ConsentCall),
      connectFamily: (call: object) => asked({ action: 'connect', ...call } as ConsentCall),
    };
    const { response } = await answer(eventOf(method, path, { body }), services);
    return {
      status: response.statusCode ?? 500,
      text: response.body ?? '',
      type: String(response.headers?.['content-type'] ?? ''),
    };
  }
}

describe('rekey connect, through API, coordinator and vault, at a real server', () => {
  it('gives agents an access token that works, and the coordinator alone what refreshes it', async () => {
    await using one = await Connecting.start();
    const { exit, stdout, stderr } = await one.connect();
    expect([exit, stderr]).toEqual([0, expect.stringContaining('Consent for')]);
    const token = await one.token();
    expect(await oidc.isLive(token)).toBe(true);
    expect(stdout + stderr).not.toContain(token);
    expect(Object.keys(await one.family.read()).toSorted()).toEqual([
      'access_token',
      'expires_at',
      'scope',
      'token_type',
    ]);
    expect(await one.family.actions()).toContainEqual(expect.stringContaining('consent'));
    await one.family.assertSound();
  });

  it('leaves a family that works as it is until the new tokens are there, and then replaces it', async () => {
    await using one = await Connecting.start();
    await one.connect();
    const before = await one.token();
    expect((await one.connect(one.person('deny'))).exit).toBe(4);
    // Neither the current nor the previous secret of the client is one that the server knows.
    await one.family.rotateClient('unknown-1', 'AWSCURRENT');
    await one.family.rotateClient('unknown-2', 'AWSCURRENT');
    const refused = await one.connect();
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('ERR_ADMIN_DENIED')]);
    expect(await one.token()).toBe(before);
    expect(await one.family.family()).toMatchObject({ status: 'active' });
    expect(await oidc.isLive(before)).toBe(true);

    await one.family.rotateClient(CLIENT.client_secret, 'AWSCURRENT');
    expect((await one.connect()).exit).toBe(0);
    expect(await one.token()).not.toBe(before);
    expect(await oidc.isLive(await one.token())).toBe(true);
  });

  it('of two at once, each ends with a family that works', async () => {
    await using one = await Connecting.start();
    const both = await Promise.all([one.connect(), one.connect()]);
    expect(both.map(({ exit }) => exit)).toEqual([0, 0]);
    const { tokens, attempt } = await one.family.family();
    expect([tokens?.refreshable, attempt]).toEqual([true, undefined]);
    expect(await oidc.isLive(await one.token())).toBe(true);
    await tend({ ...one.deps, clock: () => one.family.now + 1_800_000 }, (await one.family.family()).id);
    expect(await oidc.isLive(await one.token())).toBe(true);
    expect(oidc.revokedByReuse.size).toBe(0);
  });

  it('brings back a family whose consent is gone', async () => {
    await using one = await Connecting.start();
    await one.connect();
    const { id } = await one.family.family();
    await oidc.revokeAll();
    const later = { ...one.deps, clock: () => one.family.now + 1_800_000 };
    await tend(later, id);
    expect(await one.family.family()).toMatchObject({ status: 'consent-needed', needs: { why: 'refused' } });
    expect((await one.connect()).exit).toBe(0);
    expect(await one.family.family()).toMatchObject({ status: 'active' });
    expect(await oidc.isLive(await one.token())).toBe(true);
  });

  it('needs nobody where the client acts for itself', async () => {
    const own = { id: SERVICE_CLIENT.client_id, authentication: 'client_secret_post' } as const;
    await using one = await Connecting.start({ grant: 'client_credentials' }, own);
    await one.family.rotateClient(SERVICE_CLIENT.client_secret, 'AWSCURRENT');
    const { exit } = await one.connect({});
    expect(exit).toBe(0);
    expect(await oidc.isLive(await one.token())).toBe(true);
  });

  it('says of a server that does not answer that the person connects again, since nobody tries it again for them', async () => {
    await using one = await Connecting.start({ server: { issuer: 'http://127.0.0.1:1' } });
    const again = `then connect again: \`rekey connect ${one.family.name}\``;
    const { exit, stderr } = await one.connect();
    expect([exit, stderr]).toEqual([1, expect.stringContaining('ERR_UNAVAILABLE')]);
    expect(stderr).toContain(again);
    expect(stderr).not.toContain('tried again');
    const consent = {
      code: 'c',
      codeVerifier: 'v'.repeat(43),
      redirectUri: 'http://127.0.0.1:4711/callback',
    };
    const trigger = { kind: 'operator', actor: 'arn:ada' } as const;
    const call = { action: 'connect', name: one.family.name, consent, trigger } as const;
    await expect(answerConsent(one.deps, call)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      remedy: expect.stringContaining(again) as string,
    });
  });

  it('says what is wrong with a code that is not of this consent, and changes nothing', async () => {
    await using one = await Connecting.start();
    const consent = {
      code: 'stolen-elsewhere',
      codeVerifier: 'v'.repeat(43),
      redirectUri: 'http://127.0.0.1:4711/callback',
    };
    const trigger = { kind: 'operator', actor: 'arn:ada' } as const;
    const call = { action: 'connect', name: one.family.name, consent, trigger } as const;
    await expect(answerConsent(one.deps, call)).rejects.toMatchObject({ code: 'ERR_CONSENT' });
    expect(await one.family.family()).toMatchObject({ status: 'consent-needed', needs: { why: 'first' } });
    expect(JSON.stringify([await one.family.records(), await one.family.family()])).not.toContain(
      consent.code,
    );
  });
});

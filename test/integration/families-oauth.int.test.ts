import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OAuthServer } from '../../shared/adapters/oauth-server.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { FamilyTerms } from '../../shared/domain/families.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import { revokeFamily } from '../../shared/engine/families/revoke.ts';
import { tend } from '../../shared/engine/families/tend.ts';
import type { ConsentGiven } from '../../shared/ports/authorization-server.ts';
import { FamilyWorld, type FamilyCase } from '../support/family-world.ts';
import { CLIENT, OidcServer } from '../support/oidc.ts';

/** Families at a real authorization server, with rotation and detection of reuse, read by agents all the time. */
const AGENTS = 50;
const REFRESHES = 100;
const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;
const REDIRECT = 'http://127.0.0.1:4711/callback';

let world: FamilyWorld;
beforeAll(async () => {
  world = await FamilyWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const oauth = new OAuthServer({ privateHosts: ['127.0.0.1'] });

async function consent(oidc: OidcServer, terms: FamilyTerms): Promise<ConsentGiven> {
  const codeVerifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
  const { url } = await oauth.consentAddress(terms, { redirectUri: REDIRECT, state: 'state', codeChallenge });
  const back = new URL(await oidc.consent(url)).searchParams;
  return {
    code: new Redacted(back.get('code') ?? ''),
    codeVerifier: new Redacted(codeVerifier),
    redirectUri: REDIRECT,
  };
}

/** A family at `oidc` that somebody has consented to, and the parts of a coordinator that asks that server. */
async function connected(
  oidc: OidcServer,
  graceSeconds: number,
): Promise<{ one: FamilyCase; deps: FamilyDeps }> {
  oidc.behaviour.graceMs = graceSeconds * 1000;
  const one = await world.registered({ server: { issuer: oidc.issuer }, graceSeconds });
  one.now = Date.now();
  await one.rotateClient(CLIENT.client_secret, 'AWSCURRENT');
  const deps = { ...one.deps, server: oauth };
  await connectFamily(deps, { name: one.name, consent: await consent(oidc, one.terms), trigger: OPERATOR });
  return { one, deps };
}

/** A coordinator that dies with the answer of the server in its hands: nothing of it is stored. */
async function dies(one: FamilyCase, deps: FamilyDeps): Promise<void> {
  const { id } = await one.family();
  one.calls.struck = false;
  one.calls.arm({ at: 'server.refresh', mode: 'after' });
  expect(await one.process((faulty) => tend(faulty, id, { forced: true }), deps)).toBe('killed');
  one.calls.disarm();
}

/** Reads the token again and again, and works with it at once. */
class Agents {
  calls = 0;
  readonly failures: string[] = [];
  readonly #one: FamilyCase;
  readonly #secret: string;
  readonly #oidc: OidcServer;
  readonly #work: Promise<void>[];
  #isOver = false;

  constructor(one: FamilyCase, secret: string, oidc: OidcServer) {
    this.#one = one;
    this.#secret = secret;
    this.#oidc = oidc;
    this.#work = Array.from({ length: AGENTS }, async () => this.#agent());
  }

  /** Waits until all together have made so many more calls. */
  async make(more: number): Promise<void> {
    for (const wanted = this.calls + more; this.calls < wanted;) await sleep(5);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
  }

  async #agent(): Promise<void> {
    while (!this.#isOver) {
      const text = await this.#one.vault.read(this.#secret, { stage: 'AWSCURRENT' });
      const { access_token: token = '' } = JSON.parse(text?.reveal() ?? '{}') as { access_token?: string };
      this.calls++;
      if (!(await this.#oidc.isLive(token))) this.failures.push(`call ${this.calls} was refused`);
      await sleep(100 + Math.random() * 200);
    }
  }
}

describe('50 agents over 100 refreshes', () => {
  test('lose nothing: no family is revoked, two coordinators at each refresh and one killed at every tenth', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(oidc, 600);
    const { id, secretName } = await one.family();
    const agents = new Agents(one, secretName, oidc);
    let killed = 0;
    for (let refresh = 1; refresh <= REFRESHES; refresh++) {
      one.now = Math.max(one.now, Date.now());
      if (refresh % 10 === 0) {
        await dies(one, deps);
        killed++;
        one.now += 121_000;
      }
      const outcomes = await Promise.all([1, 2].map(async () => tend(deps, id, { forced: true })));
      expect(outcomes.filter(({ outcome }) => outcome === 'refreshed').length).toBeGreaterThanOrEqual(1);
      await agents.make(AGENTS / 5);
    }
    await agents.stop();
    expect(agents.failures).toEqual([]);
    expect(agents.calls).toBeGreaterThanOrEqual(AGENTS * 20);
    expect([...oidc.revokedByReuse, ...oidc.revokedOnRequest]).toEqual([]);
    expect(oidc.refreshes).toBeGreaterThanOrEqual(REFRESHES + killed);
    const family = await one.family();
    expect(family).toMatchObject({ status: 'active' });
    const records = await one.actions();
    expect(records.filter((action) => action === 'tokens-refreshed').length).toBeGreaterThanOrEqual(
      REFRESHES,
    );
    expect(records).not.toContain('consent-needed');
  }, 600_000);

  test('lose the family where each of them refreshes by itself: that is what the test can see', async () => {
    await using oidc = await OidcServer.start();
    const { one } = await connected(oidc, 0);
    const { refreshSecretName, tokens } = await one.family();
    const text = await one.vault.read(refreshSecretName, { versionId: tokens?.versionId ?? '' });
    const { refresh_token: shared } = JSON.parse(text?.reveal() ?? '{}') as { refresh_token: string };
    const secret = new Redacted<string>(CLIENT.client_secret);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, async () => oauth.refresh(one.terms, secret, new Redacted(shared))),
    );
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
    expect(oidc.revokedByReuse.size).toBe(1);
  });
});

describe('a coordinator that is killed between answer and store', () => {
  test('past the grace of the server costs the consent, which is said once, and a consent brings it back', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(oidc, 0);
    const { id } = await one.family();
    await dies(one, deps);
    one.now += 121_000;
    expect(await tend(deps, id)).toMatchObject({ outcome: 'consent-needed' });
    expect(await one.family()).toMatchObject({ needs: { why: 'lost' } });
    expect(oidc.revokedByReuse.size).toBe(1);
    const asked = oidc.asked.length;
    for (let minute = 0; minute < 10; minute++) {
      one.now += 60_000;
      expect(await one.run(deps)).toMatchObject({ refreshed: [], failed: [] });
    }
    expect(oidc.asked).toHaveLength(asked);
    expect((await one.actions()).filter((action) => action === 'consent-needed')).toHaveLength(1);
    await connectFamily(deps, { name: one.name, consent: await consent(oidc, one.terms), trigger: OPERATOR });
    expect(await oidc.isLive((await one.read())['access_token'] ?? '')).toBe(true);
    expect(await tend(deps, id, { forced: true })).toMatchObject({ outcome: 'refreshed' });
  });
});

describe('an emergency at a real server', () => {
  test('ends all that descends from the consent, the newest tokens included', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(oidc, 600);
    const { id } = await one.family();
    await tend(deps, id, { forced: true });
    const { access_token: token = '' } = await one.read();
    expect(await oidc.isLive(token)).toBe(true);
    const ended = await revokeFamily(deps, { name: one.name, incidentId: 'INC-7', trigger: OPERATOR });
    expect(ended.incident).toMatchObject({ pending: [], outcome: 'revoked' });
    expect(await oidc.isLive(token)).toBe(false);
    expect(oidc.revokedOnRequest.size).toBe(1);
    expect(await one.read()).not.toHaveProperty('access_token');
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { OAuthServer } from '../../shared/adapters/oauth-server.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { FamilyTerms } from '../../shared/domain/families.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import type { ConsentGiven } from '../../shared/ports/authorization-server.ts';
import type { FamilyCase, FamilyWorld } from './family-world.ts';
import { CLIENT, type OidcServer } from './oidc.ts';

/** How many agents read the token of a family. */
export const AGENTS = 50;
const ROUND_TRIP_MS = 100;
const REDIRECT = 'http://127.0.0.1:4711/callback';
const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;

const oauth = new OAuthServer({ privateHosts: ['127.0.0.1'] });

/** What a person gives who consents at `oidc`. */
export async function consent(oidc: OidcServer, terms: FamilyTerms): Promise<ConsentGiven> {
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
export async function connected(
  world: FamilyWorld,
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

/** How agents come by the access token that they call with. */
export interface TokenSource {
  token(): Promise<string>;
}

/** From the vault, where the coordinator puts it. */
export async function fromVault(one: FamilyCase): Promise<TokenSource> {
  const { secretName } = await one.family();
  return {
    token: async () => {
      const text = await one.vault.read(secretName, { stage: 'AWSCURRENT' });
      return (JSON.parse(text?.reveal() ?? '{}') as { access_token?: string }).access_token ?? '';
    },
  };
}

/** Each refreshes by itself: all share what is stored, and whoever finds the access token due spends the refresh token. */
export class ByThemselves implements TokenSource {
  readonly #terms: FamilyTerms;
  #stored: { readonly access: string; readonly refresh: string; readonly isDue: boolean };

  private constructor(terms: FamilyTerms, stored: { readonly access: string; readonly refresh: string }) {
    this.#terms = terms;
    this.#stored = { ...stored, isDue: false };
  }

  /** With the tokens of a family, whose coordinator is left out from then on. */
  static async of(one: FamilyCase): Promise<ByThemselves> {
    const { refreshSecretName, tokens } = await one.family();
    const text = await one.vault.read(refreshSecretName, { versionId: tokens?.versionId ?? '' });
    const held = JSON.parse(text?.reveal() ?? '{}') as { access_token: string; refresh_token: string };
    return new ByThemselves(one.terms, { access: held.access_token, refresh: held.refresh_token });
  }

  /** The access token nears its end. */
  fallDue(): void {
    this.#stored = { ...this.#stored, isDue: true };
  }

  async token(): Promise<string> {
    const { isDue, refresh } = this.#stored;
    if (!isDue) return this.#stored.access;
    // The way to a server on another continent: whoever looks meanwhile finds it due as well.
    await sleep(ROUND_TRIP_MS);
    try {
      const secret = new Redacted<string>(CLIENT.client_secret);
      const { accessToken, refreshToken } = await oauth.refresh(this.#terms, secret, new Redacted(refresh));
      this.#stored = {
        access: accessToken.reveal(),
        refresh: refreshToken?.reveal() ?? refresh,
        isDue: false,
      };
    } catch {
      // What is stored may still work; its call shows whether it does.
    }
    return this.#stored.access;
  }
}

/** Agents that read their token again and again, and work with it at once. */
export class Agents {
  calls = 0;
  readonly failures: string[] = [];
  readonly #source: TokenSource;
  readonly #oidc: OidcServer;
  readonly #work: Promise<void>[];
  #isOver = false;

  constructor(source: TokenSource, oidc: OidcServer) {
    this.#source = source;
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
      const token = await this.#source.token();
      this.calls++;
      if (!(await this.#oidc.isLive(token))) this.failures.push(`call ${this.calls} was refused`);
      await sleep(100 + Math.random() * 200);
    }
  }
}

import { randomBytes } from 'node:crypto';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { TokenSet } from '../../shared/domain/token-answer.ts';
import type {
  AuthorizationServer,
  ClientSecret,
  ConsentAddress,
  ConsentGiven,
  ConsentRequest,
  GrantTerms,
} from '../../shared/ports/authorization-server.ts';

interface FamilyThere {
  readonly live: Set<string>;
  readonly spent: Map<string, number>;
  refresh: string;
  dead: boolean;
}

/**
 * An authorization server on the clock of a test: it rotates refresh tokens, takes a spent one once more within its grace and
 * ends the family past it. `test/support/oidc.ts` is a real one, on the clock of the machine.
 */
export class FakeTokenServer implements AuthorizationServer {
  rotation = true;
  graceSeconds = 0;
  lifeSeconds = 3600;
  canRevoke = true;
  clientSecret = 'what-the-client-knows';
  /** While it is set, every request is answered so. */
  trouble: RekeyError | undefined;
  /** Whether it gives a refresh token with a consent. */
  refreshable = true;
  /** Families that died since a spent token came again. */
  reused = 0;
  refreshes = 0;
  /** Tokens that somebody asked to have revoked. */
  readonly revoked: string[] = [];
  readonly families: FamilyThere[] = [];
  readonly #now: () => number;
  readonly #own = new Set<string>();
  #codes = new Set<string>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A person has consented. */
  code(): ConsentGiven {
    const code = random();
    this.#codes.add(code);
    return {
      code: new Redacted(code),
      codeVerifier: new Redacted('verifier'),
      redirectUri: 'http://127.0.0.1:1/callback',
    };
  }

  takes(accessToken: string): boolean {
    return (
      this.#own.has(accessToken) || this.families.some(({ live, dead }) => !dead && live.has(accessToken))
    );
  }

  /** Somebody else spends the token of a family, as who has stolen it does. */
  spendElsewhere(): void {
    const family = this.families.at(-1);
    if (family === undefined) throw new Error('no family yet');
    family.spent.set(family.refresh, this.#now());
    family.refresh = random();
  }

  consentAddress(_terms: GrantTerms, { state }: ConsentRequest): Promise<ConsentAddress> {
    return Promise.resolve({ url: `https://login.example/authorize?state=${state}`, sendsIssuer: false });
  }

  exchange(terms: GrantTerms, secret: ClientSecret, { code }: ConsentGiven): Promise<TokenSet> {
    return this.#asClient(secret, () => {
      if (!this.#codes.delete(code.reveal())) throw refused();
      const family = {
        live: new Set<string>(),
        spent: new Map<string, number>(),
        refresh: random(),
        dead: false,
      };
      this.families.push(family);
      return this.#tokens(family, terms, this.refreshable);
    });
  }

  refresh(terms: GrantTerms, secret: ClientSecret, refreshToken: Redacted<string>): Promise<TokenSet> {
    return this.#asClient(secret, () => {
      const token = refreshToken.reveal();
      const family = this.families.find(({ refresh, spent }) => refresh === token || spent.has(token));
      if (family === undefined || family.dead) throw refused();
      const spentAt = family.spent.get(token);
      if (spentAt !== undefined && this.#now() - spentAt >= this.graceSeconds * 1000) {
        family.dead = true;
        this.reused++;
        throw refused();
      }
      this.refreshes++;
      if (this.rotation) {
        if (spentAt === undefined) family.spent.set(token, this.#now());
        family.refresh = random();
      }
      return this.#tokens(family, terms, this.rotation);
    });
  }

  clientCredentials(terms: GrantTerms, secret: ClientSecret): Promise<TokenSet> {
    return this.#asClient(secret, () => {
      const token = random();
      this.#own.add(token);
      return { ...this.#answer(terms), accessToken: new Redacted(token) };
    });
  }

  revoke(
    _terms: GrantTerms,
    secret: ClientSecret,
    token: Redacted<string>,
  ): Promise<'revoked' | 'unsupported'> {
    return this.#asClient(secret, () => {
      if (!this.canRevoke) return 'unsupported';
      const value = token.reveal();
      this.revoked.push(value);
      this.#own.delete(value);
      for (const family of this.families) {
        if (family.refresh === value || family.spent.has(value)) family.dead = true;
        family.live.delete(value);
      }
      return 'revoked';
    });
  }

  #tokens(family: FamilyThere, terms: GrantTerms, withRefresh: boolean): TokenSet {
    const accessToken = random();
    family.live.add(accessToken);
    return {
      ...this.#answer(terms),
      accessToken: new Redacted(accessToken),
      ...(withRefresh ? { refreshToken: new Redacted(family.refresh) } : {}),
    };
  }

  #answer({ scopes }: GrantTerms): Omit<TokenSet, 'accessToken'> {
    return { expiresInSeconds: this.lifeSeconds, scope: scopes.join(' '), tokenType: 'Bearer' };
  }

  #asClient<T>(secret: ClientSecret, work: () => T): Promise<T> {
    if (this.trouble !== undefined) return Promise.reject(this.trouble);
    if (secret?.reveal() !== this.clientSecret) {
      return Promise.reject(new RekeyError('ERR_ADMIN_DENIED', 'invalid_client'));
    }
    return new Promise((resolve) => {
      resolve(work());
    });
  }
}

function random(): string {
  return randomBytes(24).toString('base64url');
}

function refused(): RekeyError {
  return new RekeyError('ERR_CONSENT', 'invalid_grant');
}

import type { Redacted } from '../domain/redacted.ts';
import type { TokenSet } from '../domain/token-answer.ts';

/** What a request at an authorization server is made of: who asks whom for what. */
export interface GrantTerms {
  readonly server: {
    /** Its metadata have the endpoints (RFC 8414, OpenID Connect Discovery). */
    readonly issuer?: string | undefined;
    /** In place of the metadata's, or where there are none. */
    readonly tokenEndpoint?: string | undefined;
    readonly authorizationEndpoint?: string | undefined;
    readonly revocationEndpoint?: string | undefined;
  };
  readonly client: {
    readonly id: string;
    readonly authentication: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'none';
    /** Where its secret may be sent, and what goes with it; absent where the secret doesn't say. */
    readonly allowedHosts?: readonly string[] | undefined;
  };
  readonly scopes: readonly string[];
  /** What the tokens are for (RFC 8707). */
  readonly resource?: string | undefined;
  /** The same as some servers want it. */
  readonly audience?: string | undefined;
}

/** With what a client says who it is: a secret, or its private key as a JWK; nothing for a public client. */
export type ClientSecret = Redacted<string> | undefined;

/** What a token is, where it is to be revoked: some servers look for it among those of its kind alone. */
export type TokenKind = 'access' | 'refresh';

/** Where a person's browser is sent, without what makes each request its own. */
export interface ConsentRequest {
  /** Where the browser comes back to. */
  readonly redirectUri: string;
  readonly state: string;
  /** S256 of the verifier (RFC 7636). */
  readonly codeChallenge: string;
}

/** Where a browser goes for consent. */
export interface ConsentAddress {
  readonly url: string;
  /** Who must have sent the browser back (RFC 9207), where that is known. */
  readonly issuer?: string;
  /** True where whoever comes back without an issuer comes from somebody else. */
  readonly sendsIssuer: boolean;
}

/** What a consent has given. */
export interface ConsentGiven {
  readonly code: Redacted<string>;
  readonly codeVerifier: Redacted<string>;
  readonly redirectUri: string;
}

/**
 * An authorization server (RFC 6749). Single requests, none of them repeated: a refresh token is spent by being sent.
 * Every method throws RekeyError: ERR_CONSENT (the grant is taken no more), ERR_ADMIN_DENIED (the client isn't),
 * ERR_UNAVAILABLE (no answer, or none that counts: what was asked for may have happened), ERR_REJECTED, ERR_DECLARATION (an
 * address that isn't of the public internet, or that the client's secret isn't for: then nothing was sent).
 */
export interface AuthorizationServer {
  /** Where a person consents. No request with a secret is made. */
  consentAddress(terms: GrantTerms, request: ConsentRequest): Promise<ConsentAddress>;
  /** Tokens for a consent. */
  exchange(terms: GrantTerms, secret: ClientSecret, given: ConsentGiven): Promise<TokenSet>;
  /** Tokens for a refresh token, which may be spent by that, whatever comes back. */
  refresh(terms: GrantTerms, secret: ClientSecret, refreshToken: Redacted<string>): Promise<TokenSet>;
  /** An access token for the client itself. */
  clientCredentials(terms: GrantTerms, secret: ClientSecret): Promise<TokenSet>;
  /**
   * Ends a token and, where it is a refresh token, all that descends from its consent (RFC 7009); `unsupported` where only
   * a person can.
   */
  revoke(
    terms: GrantTerms,
    secret: ClientSecret,
    token: Redacted<string>,
    kind: TokenKind,
  ): Promise<'revoked' | 'unsupported'>;
}

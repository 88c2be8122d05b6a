import type { Instant } from './clock.ts';
import type { Home, Pause } from './credential.ts';
import type { ErrorCode } from './errors.ts';
import type { Holder } from './holders.ts';
import type { Trigger } from './rotation.ts';

/**
 * A token family: the refresh tokens that descend from one consent (RFC 9700), or the access tokens that a client gets for
 * itself. Rekey alone refreshes it; agents read access tokens from the vault (docs/oauth.md).
 */

/** An authorization server: by its issuer, whose metadata have the rest, or endpoint by endpoint. */
export interface FamilyServer {
  readonly issuer?: string | undefined;
  readonly tokenEndpoint?: string | undefined;
  readonly authorizationEndpoint?: string | undefined;
  readonly revocationEndpoint?: string | undefined;
}

/** How a client says who it is (RFC 6749, 7523). */
export const CLIENT_AUTHENTICATIONS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
] as const;

/** Rekey's own registration at the server; what it authenticates with is in a secret of its own. */
export interface FamilyClient {
  readonly id: string;
  readonly authentication: (typeof CLIENT_AUTHENTICATIONS)[number];
  /** Name of the secret; absent where the client has none. */
  readonly secret?: string | undefined;
}

/** How the first token comes about: a person consents, or the client acts for itself. */
export const GRANTS = ['authorization_code', 'client_credentials'] as const;

/** What is declared of a family, checked. */
export interface FamilyTerms {
  readonly owner: string;
  readonly server: FamilyServer;
  readonly client: FamilyClient;
  readonly grant: (typeof GRANTS)[number];
  readonly scopes: readonly string[];
  /** What the tokens are for (RFC 8707). */
  readonly resource?: string | undefined;
  /** The same as some servers want it. */
  readonly audience?: string | undefined;
  /** Whether the server gives a new refresh token with each access token, and takes each one once. */
  readonly rotation: boolean;
  /** How long the server takes a spent refresh token once more, as after an answer that was lost. */
  readonly graceSeconds: number;
  /** Who reads the access token. */
  readonly holders: readonly Holder[];
}

/** Why somebody has to consent. */
export type ConsentReason =
  /** Nobody has yet. */
  | 'first'
  /** The server refuses the refresh token: expired, revoked there, or spent elsewhere, which ends the family. */
  | 'refused'
  /** The answer to a refresh was lost, and the server takes the token before no more. */
  | 'lost'
  /** Revoked in an emergency. */
  | 'revoked';

/** The newest tokens of a family, without any of them. */
export interface TokensHeld {
  /** Version of both secrets, which is the attempt that brought them. */
  readonly versionId: string;
  /** Of the refresh token; of the access token where there is none. */
  readonly fingerprint: string;
  readonly refreshable: boolean;
  readonly consentedAt: Instant;
  /** ARN of who consented. Absent where the client acts for itself, and in what older versions wrote. */
  readonly consentedBy?: string | undefined;
  /** Since when the refresh token is the same: each refresh where the server rotates it, else the consent. */
  readonly rotatedAt: Instant;
  readonly refreshedAt: Instant;
  readonly expiresAt: Instant;
  readonly scope?: string | undefined;
  /** Versions before this one whose access tokens may live yet, the newest first. */
  readonly earlier?: readonly Pick<TokensHeld, 'versionId' | 'expiresAt'>[] | undefined;
  /** The last versions of consents that another one has replaced: a server may take their refresh tokens yet. */
  readonly replaced?: readonly string[] | undefined;
}

/** What an attempt is to bring. */
export type AttemptKind = 'refresh' | 'consent' | 'own';

/** Somebody is at it: the intent, and the lease for as long as nobody else may spend the token. */
export interface Attempt {
  /** Counts the attempts of the family; whoever has an older number can write nothing any more. */
  readonly number: number;
  /** Version of the secrets that it makes: what it got is found under that, whoever looks. */
  readonly id: string;
  readonly kind: AttemptKind;
  readonly since: Instant;
  readonly until: Instant;
  readonly trigger: Trigger;
  /** Attempts on the same token that left no answer; theirs may turn up all the same. */
  readonly lost: readonly string[];
}

/** What keeps a family from being refreshed, while access tokens go on working. */
export interface Trouble {
  readonly code: ErrorCode | 'ERR_INTERNAL';
  readonly since: Instant;
  readonly failures: number;
  readonly notBefore: Instant;
  /** A person was told. */
  readonly told?: boolean | undefined;
  /** Attempts that left no answer. */
  readonly lost: readonly string[];
  /** When the first of them may have spent the token: the server's grace goes from there. */
  readonly lostSince?: Instant | undefined;
}

/** An emergency of a family. */
export interface FamilyIncident {
  /** As the operators call it. */
  readonly id: string;
  readonly trigger: Trigger;
  readonly since: Instant;
  /** When the consent was given whose tokens it ends; what earlier ones gave is revoked as far as it is still kept. */
  readonly consentedAt?: Instant | undefined;
  /** Versions of the secret whose tokens are still to be revoked at the server. */
  readonly pending: readonly string[];
  /** Versions before them, of which access tokens are to be revoked as well. */
  readonly earlier?: readonly string[] | undefined;
  /** Until then an attempt that was under way may store one of them. */
  readonly until: Instant;
  /** What the server said in the end; `unsupported`: only a person can revoke there; `none`: it had given nothing yet. */
  readonly outcome?: 'revoked' | 'unsupported' | 'none' | undefined;
  /** Tries that have left something, and when the next one comes. */
  readonly tries?: number | undefined;
  readonly again?: Instant | undefined;
  /** A person was told that the server can't be brought to revoke. */
  readonly told?: boolean | undefined;
}

/** An emergency that is over, as it is remembered for the tokens that it ended. */
export interface FamilyEnd extends Pick<FamilyIncident, 'id' | 'since' | 'consentedAt'> {
  readonly outcome: 'revoked' | 'unsupported';
}

/** A family as the ledger has it: state, not intent, and no token. */
export interface Family extends Home {
  /** Opaque and never reused. */
  readonly id: string;
  readonly name: string;
  readonly terms: FamilyTerms;
  /** The secret that agents read. */
  readonly secretName: string;
  /** The one with the refresh token, which only the coordinator reads. */
  readonly refreshSecretName: string;
  /** Both secrets exist. */
  readonly provisioned: boolean;
  readonly status: 'consent-needed' | 'active' | 'unregistered';
  /** While consent is needed. */
  readonly needs?: { readonly why: ConsentReason; readonly since: Instant } | undefined;
  readonly tokens?: TokensHeld | undefined;
  readonly attempt?: Attempt | undefined;
  /** Attempts ever made: the fencing token. */
  readonly attempts: number;
  readonly trouble?: Trouble | undefined;
  /** Its owner was told that consent is due, for tokens that have been the same since then. */
  readonly dueTold?: Instant | undefined;
  readonly paused?: Pause | undefined;
  /** The emergency that ended it, until somebody consents again. */
  readonly incident?: FamilyIncident | undefined;
  /** The last one before, once somebody has. */
  readonly ended?: FamilyEnd | undefined;
  /** Raised by every commit. */
  readonly version: number;
  readonly seq: number;
  readonly chain: string;
  readonly registeredAt: Instant;
  readonly updatedAt: Instant;
}

/** What the names of the two secrets of a family end with, below the prefix of the deployment. */
export function familySecrets(
  prefix: string,
  name: string,
): { readonly secretName: string; readonly refreshSecretName: string } {
  // Not below the agents' one: a pattern that lets them read that must not reach this.
  return { secretName: `${prefix}families/${name}`, refreshSecretName: `${prefix}refresh-tokens/${name}` };
}

/** Why consent is needed, in words. */
export const CONSENT_REASONS: Readonly<Record<ConsentReason, string>> = {
  first: 'nobody has consented yet',
  refused:
    'the server refuses the refresh token: it expired, was revoked there, or was spent elsewhere, which ends the family',
  lost: 'the answer to a refresh was lost, and the server takes the token before no more',
  revoked: 'it was revoked in an emergency',
};

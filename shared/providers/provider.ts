import type { Capabilities, Overlap } from '../domain/capabilities.ts';
import type { Clock, Instant } from '../domain/clock.ts';
import type { Claim, SeenClaim } from '../domain/claim.ts';
import type { Survey } from '../domain/coverage.ts';
import type { Credential, CredentialHandle } from '../domain/credential.ts';
import type { Deactivation, Usage } from '../domain/evidence.ts';
import type { Interval } from '../domain/forensics/facts.ts';
import type { Metering } from '../domain/metering.ts';
import type { Place } from '../domain/place.ts';
import type { PublicKey } from '../domain/possession.ts';
import type { Demands } from '../domain/possible.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { AwsReach } from '../http/aws.ts';
import type { Directory } from '../ports/directory.ts';
import type { Leaves } from '../ports/leaves.ts';
import type { Revocations } from '../ports/revocations.ts';
import type { Sealer } from '../ports/sealer.ts';

/** What a provider hands back when it has issued a credential. */
export interface Issued<M> {
  readonly handle: CredentialHandle;
  readonly material: Redacted<M>;
}

/** What a person should see although nothing is refused: it may be a mistake, and only they can tell. */
export interface Notice {
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
}

/** Where a provider's calls may go. */
export interface Reach {
  /** Hosts that may have private addresses, as the setting `privateUpstreams` names them. */
  readonly privateHosts: readonly string[];
  /** How long one call over HTTP may take, in milliseconds; ten seconds where nothing is said. */
  readonly timeoutMs?: number;
  /** Calls of AWS itself. Absent for functions that make none on behalf of a provider. */
  readonly aws?: AwsReach;
  /** The directory of identities. Absent for functions of other types. */
  readonly identities?: IdentityReach;
}

/** Where identities live whose upstream is Rekey itself (docs/adr/030). */
export interface IdentityReach {
  readonly directory: Directory;
  readonly sealer: Sealer;
  /** Where every certificate is on record before it is signed. */
  readonly leaves: Pick<Leaves, 'record'>;
  /** What is revoked of authorities. */
  readonly revocations: Revocations;
  /** Stage of the deployment, which keys in KMS carry as a tag. */
  readonly stage: string;
  /** Address at which verifiers find the directory; absent where nothing of it is public. */
  readonly url?: string;
  /** Address at which certificates say that revocations are told, where that isn't `url`. */
  readonly statusUrl?: string;
  /** ARN of the key that tells which certificates are revoked; absent for functions of other types. */
  readonly statusKey?: string;
}

/** What a provider says of a key that it takes. */
export type NewClaim = Pick<Claim, 'fingerprint' | 'token' | 'generation'>;

/**
 * Who has taken which key that a person has made, for upstreams that keep no mark of it: a conditional write in the ledger,
 * by the fingerprint of the value.
 */
export interface Claims {
  /** The claims on these keys, whoever has them. */
  of(fingerprints: readonly string[]): Promise<readonly SeenClaim[]>;
  /** Takes a key, and answers with the claim that stands: the same one at every repetition, or that of whoever was first. */
  take(claim: NewClaim): Promise<SeenClaim>;
  /** The same of a key in use: also what a credential has had that is registered no more, whose agents go on with it. */
  inherit(claim: NewClaim): Promise<SeenClaim>;
  /** Gives back what was taken under this token, as if it never had been; another's claim is left alone. */
  giveBack(claim: Pick<Claim, 'fingerprint' | 'token'>): Promise<void>;
}

/** What a provider may know of another credential. */
export type Registered = Pick<Credential, 'type' | 'provider' | 'status' | 'target' | 'holders' | 'current'>;

/** What a provider may use while it performs one step. */
export interface ProviderContext {
  readonly clock: Clock;
  /** The administrative secret of the target, read on first use only. Absent for functions that must not have it. */
  readonly admin: () => Promise<Redacted<string>>;
  readonly reach: Reach;
  /**
   * Another credential by the name of its declaration, as the ledger has it; undefined where there is none. For what is made
   * under another one; nothing secret is in it.
   */
  readonly registered?: (name: string) => Promise<Registered | undefined>;
  /** Absent where nothing is taken from a pool that the ledger has to keep. */
  readonly claims?: Claims;
  /** This credential's handles that the ledger knows to live; absent before it is registered. */
  readonly live?: readonly CredentialHandle[];
}

/** The context of `issue`. */
export interface IssueContext extends ProviderContext {
  /** Generation that the new credential gets: one above every generation that the ledger knows. */
  readonly generation: number;
  /** What agents use now; absent at registration and after an emergency. */
  readonly current?: CredentialHandle;
  /** How long it is to be used by the policy, in seconds: an upstream that ends it by itself must do so later. */
  readonly intervalSeconds?: number;
}

/** Something at the upstream that a credential which is adopted depends on, or that depends on it. */
export interface Dependency {
  /** The object or setting, e.g. `policy own_rows on app.orders`. */
  readonly what: string;
  readonly severity:
    /** A rotation would break or lose it: adoption is refused. */
    | 'blocks'
    /** It is carried from credential to credential. */
    | 'kept'
    /** It is for a person to know. */
    | 'note';
  readonly detail: string;
  readonly remedy?: string;
}

/** How hard a revocation is. */
export interface RevokeOptions {
  /** True in an emergency: open sessions are ended at once (traps: open connections survive a password change). */
  readonly endSessions: boolean;
  /**
   * True where nothing of the credential is to live on, whatever its handle. Then sessions are ended as well that the
   * upstream can't tell apart by the handle they came from; else those of the other handle would break.
   */
  readonly compromised?: boolean;
  /** True where the handle is of the very login that ends it: it is dead once that login is refused. */
  readonly ownLogin?: boolean;
}

/**
 * An upstream that holds credentials. It says what it can do and performs single steps; it never sequences them.
 * Every method may be called twice with the same input, and may have been interrupted anywhere before.
 *
 * Errors are `RekeyError`s: ERR_UNAVAILABLE and ERR_NOT_PROPAGATED are tried again, ERR_REJECTED, ERR_CAPACITY and
 * ERR_ADMIN_DENIED stop the rotation and page.
 *
 * `T` is the target (where the credential lives; not secret), `M` the material (what agents read from the vault).
 */
export interface CredentialProvider<T, M> {
  readonly type: string;
  readonly provider: string;
  readonly overlap: Overlap;
  readonly revocation: Capabilities['revocation'];
  /**
   * The step at which something comes to exist at the upstream; `issue` unless said otherwise. From there on an abort
   * looks for what was issued under its token, whether or not the ledger has heard of it.
   */
  readonly createsAt?: 'issue' | 'activate';
  /** False where calls go under the function's own role: then nobody declares an administrative login. */
  readonly needsAdmin?: false;
  /** Fields of a target that may change once it is registered; all others are what its credentials are. */
  readonly changeable?: readonly string[];
  /** Checks and completes a target from a declaration; throws ERR_DECLARATION naming the field. */
  target(input: unknown): T;
  /**
   * A target from the ledger, where another version may have put it: fields that this version doesn't know are ignored
   * (hard decision 6), and what was accepted once is accepted.
   */
  storedTarget(input: unknown): T;
  /**
   * What a target's users are called across all declarations, so that no two credentials share them. Pure. Absent where
   * sharing does no harm.
   */
  identity?(target: T): string;
  /** What the credentials of a target may do, where the target says it: no policy may say less. Pure. */
  access?(target: T): 'read' | 'write' | undefined;
  /** What a target asks of the policy, beyond the bounds of its type. Pure. */
  demands?(target: T): Demands;
  /**
   * When what is issued at `from` ends by itself, whatever becomes of Rekey; it is rotated in the first half of that life.
   * Where the material says its own end, that. Pure. Absent where nothing does.
   */
  endsAt?(target: T, from: Instant, intervalSeconds: number, material?: Redacted<M>): Instant | undefined;
  /**
   * Name of the credential that it is made under and dies with, before anybody asks for its end: once that one has a successor, a
   * rotation begins by itself. With `deactivation`, which tells. Pure. Absent where nothing is.
   */
  madeUnder?(target: T): string;
  /**
   * Whether the upstream ends the former one as a person makes the next: then a rotation finds the current one dead, and goes on where
   * `deactivation` confirms that. Pure. Absent where old and new always work beside each other.
   */
  endsFormer?(target: T): boolean;
  /** Parses the secret's text; throws ERR_MATERIAL_MISMATCH where it isn't this provider's. */
  material(text: Redacted<string>): Redacted<M>;
  /**
   * The text that the vault keeps; agents read exactly this. With `like`, the text so far, only what a rotation changes
   * differs from it: an adopted secret keeps its shape.
   */
  serialize(material: Redacted<M>, like?: Redacted<string>): Redacted<string>;
  /** The part of the material that is fingerprinted in the audit (C1). */
  secretPart(material: Redacted<M>): Redacted<string>;

  /**
   * Proves that the target can be reached and administered, and that the administrative secret is meant for it, before
   * it is used. Nothing is changed. Answers with what may be a mistake.
   */
  preflight(target: T, ctx: ProviderContext): Promise<readonly Notice[]>;
  /**
   * Makes a new credential beside the current one. `token` is stored with it upstream, so that a lost answer can be
   * found again. Refuses with ERR_CAPACITY while the slot's previous generation isn't retired (hard decision 2).
   */
  issue(target: T, token: string, ctx: IssueContext): Promise<Issued<M>>;
  /**
   * What was issued under `token` and stored, by its value; undefined where nothing but the value says that it was. Absent where
   * `list` and `issue` find it again, whatever a person changes meanwhile.
   */
  recall?(
    target: T,
    token: string,
    material: Redacted<M>,
    ctx: ProviderContext,
  ): Promise<CredentialHandle | undefined>;
  /** Makes the issued credential work. Twice equals once. */
  activate?(target: T, token: string, issued: Issued<M>, ctx: ProviderContext): Promise<void>;
  /**
   * Refuses with ERR_MATERIAL_MISMATCH a material that does not belong to `target` and `handle` (confused deputy).
   * Pure: no call leaves the process.
   */
  assertBelongs(target: T, handle: CredentialHandle, material: Redacted<M>): void;
  /** Uses the credential as an agent would. ERR_REJECTED where the upstream says no. */
  verify(target: T, material: Redacted<M>, ctx: ProviderContext): Promise<void>;
  /**
   * Compares what old and new may do (Z9): ERR_REJECTED naming what the new one lacks or has in excess. `unknown` where the
   * upstream doesn't tell; absent where it never does.
   */
  comparePermissions?(
    target: T,
    old: CredentialHandle,
    next: CredentialHandle,
    ctx: ProviderContext,
  ): Promise<'same' | 'unknown'>;
  /**
   * Ends a credential for good. Already gone, or the slot reused by a later generation, is success. Where an upstream
   * reuses slots, everything in the slot up to the handle's generation dies, and none of it can be activated again.
   * Where only a person can (`revocation: 'manual'`) it looks whether they have, and says with `byHand` what they do.
   */
  revoke(
    target: T,
    handle: CredentialHandle,
    options: RevokeOptions,
    ctx: ProviderContext,
  ): Promise<Deactivation>;
  /**
   * What the upstream shows now of a handle that was ended before. It only looks: whatever is in a reused slot stays as it
   * is. Absent where the upstream can't tell.
   */
  deactivation?(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Deactivation>;
  /** This credential's own live handles at the upstream, whatever the ledger knows. */
  list?(target: T, ctx: ProviderContext): Promise<readonly CredentialHandle[]>;
  /** All that exists at the upstream for what owns the credential there, whoever made it; it only looks. */
  survey?(target: T, ctx: ProviderContext): Promise<Survey>;
  /**
   * Where a credential lives at the upstream, and what bounds it there; it only looks. Of a credential that is gone what is
   * told of its owner. Absent where the upstream tells nothing.
   */
  place?(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Place>;
  usage?(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Usage>;
  /** How far `usage` runs behind, in seconds. */
  readonly usageLagSeconds?: number;
  /**
   * Which of these keys were used in a time, as the upstream has counted it, in pieces of a minute; keys that are gone included,
   * where it still tells of them. It only looks. Absent where an upstream tells nothing by the key.
   */
  meter?(target: T, keyIds: readonly string[], span: Interval, ctx: ProviderContext): Promise<Metering>;
  /**
   * What will stop a later rotation unless a person acts, e.g. a pool of keys that runs low; it is part of the preflight's
   * notices too. Asked after each new credential, and told to a person. Absent where nothing runs out.
   */
  outlook?(target: T, ctx: ProviderContext): Promise<readonly Notice[]>;
  /** Reversible deactivation, the step before revocation (deactivate → soak → delete). */
  readonly suspension?: {
    suspend(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<void>;
    restore(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<void>;
  };
  /** Taking over what exists. Absent where an upstream can't tell which of its credentials a value is. */
  readonly adoption?: Adoption<T, M>;
  /**
   * By what a signature of its holders is checked, where the text of the secret is no secret: they sign to acknowledge.
   * Undefined where the target's secrets are: then who has the text proves that. Absent where no holder signs.
   */
  publicKey?(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<PublicKey | undefined>;
  /** What a person does at the upstream to revoke a credential while Rekey is down; no secret in it. Pure. */
  manualRevocation?(target: T, handle: CredentialHandle): string;
}

/** How a credential that Rekey didn't make becomes one of its own, without a change of value or of what it may do. */
export interface Adoption<T, M> {
  /** True where `identify` asks the upstream under the administrative login; else it is pure, or needs none. */
  readonly asksUpstream?: true;
  /**
   * False where the upstream has no place for a mark. Then `list` never names what was adopted, and whoever ends it does
   * so by the handle in the ledger, by which the engine also keeps room; what is issued beside it is marked again.
   */
  readonly marks?: false;
  /** The upstream's id of a value. @throws RekeyError ERR_ADOPTION, ERR_MATERIAL_MISMATCH where it is unknown (hard decision 9) */
  identify(target: T, material: Redacted<M>, ctx: ProviderContext): Promise<string>;
  /** What has to be known before; nothing is changed. Its `blocks` are what a rotation could not keep. */
  dependencies(target: T, ctx: ProviderContext): Promise<readonly Dependency[]>;
  /**
   * Marks the credential as this one's, under `token` and with the generation of the handle. Answers with the handle as it is
   * known from then on.
   * @throws RekeyError ERR_CONFLICT where an earlier life of the credential has that generation or a later one: count on
   */
  adopt(target: T, token: string, found: Issued<M>, ctx: ProviderContext): Promise<CredentialHandle>;
  /** Undoes `adopt`: what was there before is there again. Of another use of the credential nothing is touched. */
  release(target: T, token: string, handle: CredentialHandle, ctx: ProviderContext): Promise<void>;
}

/** A provider whose target and material are of no concern to the caller: engine and registry pass them through. */
export type AnyProvider = CredentialProvider<unknown, unknown>;

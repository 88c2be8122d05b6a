import type { AuditDraft, AuditRecord } from '../domain/audit.ts';
import type { Claim } from '../domain/claim.ts';
import type { Credential, Key } from '../domain/credential.ts';
import type { KnownKey } from '../domain/leak.ts';
import type { Rotation } from '../domain/rotation.ts';
import type { HeldSignal } from '../domain/signals/held.ts';

/** One change of state and its audit records, committed together or not at all (outbox). */
export interface LedgerChange {
  /** The credential as it was read: its `version` and `epoch` are the fence. */
  readonly before: Credential;
  /** The credential as it shall be. `seq`, `chain`, `version` and `updatedAt` are set by the ledger. */
  readonly after: Credential;
  readonly rotation?: Rotation;
  /** At least one; each gets the next number. */
  readonly records: readonly [AuditDraft, ...AuditDraft[]];
  /** What this change brings into the credential's life: from then on it is found by its fingerprint, for good. */
  readonly keys?: readonly Key[];
  /** Other heads that the decision rests on: nothing is committed unless they are as they were read. */
  readonly unchanged?: readonly Credential[];
  /** Turns that this takes (`LedgerReads.turns`): nothing is committed where one was taken since they were read. */
  readonly turns?: Turns;
  /** A signal that waits for people, as it shall be: nothing is committed unless it is there in the version before. */
  readonly held?: HeldSignal;
  /**
   * A signal that is taken with this change: nothing is committed where it was before. The suspicions that it tells of are kept as
   * told for this credential (`SignalStore.told`).
   */
  readonly taken?: { readonly source: string; readonly id: string; readonly suspicions?: readonly string[] };
}

/** How many starts each place has seen; which agents meet at which place is the ledger's own. */
export type Turns = ReadonlyMap<number, number>;

export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/** What the ledger tells of credentials, rotations and the audit trail. */
export interface LedgerReads {
  /** The credential by its opaque id. */
  credential(id: string): Promise<Credential | undefined>;
  /** The head of a credential that is found no more: for whoever completes its unregistering. */
  unregistered(id: string): Promise<Credential | undefined>;
  /** The credential's id by the name of its declaration, within the tenant. */
  idByName(name: string): Promise<string | undefined>;
  /** The credential's id by the ARN or name of its secret. */
  idBySecret(secret: string): Promise<string | undefined>;
  /** The credential's id by its target's identity, which no two share. */
  idByTarget(identity: string): Promise<string | undefined>;
  /** Every key that ever had this fingerprint, of any credential; several may share a value that Rekey didn't make. */
  byFingerprint(fingerprint: string): Promise<readonly KnownKey[]>;
  /** Whether `byFingerprint` finds this key of a credential. */
  knows(credentialId: string, fingerprint: string): Promise<boolean>;
  /** Who has taken the key of this fingerprint from a pool, whichever; undefined where nobody has. */
  claimOf(fingerprint: string): Promise<Claim | undefined>;
  rotation(credentialId: string, rotationId: string): Promise<Rotation | undefined>;
  /** Every rotation of a credential, newest first. */
  rotations(credentialId: string, limit: number): Promise<readonly Rotation[]>;
  list(page?: string): Promise<Page<Credential>>;
  /** The turns of these agents: of two starts that take the same agent's turn, the later one has seen the earlier one. */
  turns(agents: readonly string[]): Promise<Turns>;
  /** Rotations that are not over and were last touched before `before`; by an index, never by a scan. */
  unfinished(before: string): Promise<readonly { credentialId: string; rotationId: string }[]>;

  /**
   * Credentials that the planner has to look at by then, the earliest first; by the calendar's index, never by a scan. The
   * index lags, so the head decides.
   */
  due(by: string, limit: number): Promise<readonly string[]>;
  /** Where the calendar has a credential (`nextLook` of its head); undefined where it has none. */
  lookAt(credentialId: string): Promise<string | undefined>;

  /** Audit records of one credential in order. */
  records(credentialId: string, fromSeq?: number): AsyncIterable<AuditRecord>;
  /** Audit records of a calendar month (`YYYY-MM`) over all credentials, by time. */
  recordsOfMonth(month: string): AsyncIterable<AuditRecord>;
}

/** Durable state of credentials and rotations, with the audit trail. */
export interface Ledger extends LedgerReads {
  /**
   * Reserves name, secret and the target's identity and writes the first record. A current key is found by its
   * fingerprint from then on.
   * @throws RekeyError ERR_CONFLICT where the name or the secret is taken, ERR_DECLARATION where another credential uses
   * the target's users.
   */
  create(credential: Credential, record: AuditDraft): Promise<Credential>;
  /**
   * Commits a change in one transaction.
   * @throws RekeyError ERR_CONFLICT where somebody else was faster (read again and decide again), ERR_PREEMPTED where
   * an emergency raised the epoch.
   */
  commit(change: LedgerChange): Promise<Credential>;
  /**
   * Stores what is no event of the credential's life (a callback, an ARN): fenced by the version and epoch that
   * `credential` was read with, but without a record. `keys` as in a change.
   * @throws RekeyError as `commit`.
   */
  attach(credential: Credential, rotation?: Rotation, keys?: readonly Key[]): Promise<Credential>;
  /** Claims a key that nobody has, and answers with the claim that stands: this one, or that of whoever was first. */
  claim(claim: Claim): Promise<Claim>;
  /** Gives a key back that was claimed under this token, so that it may be claimed anew. Another's claim is left alone. */
  unclaim(claim: Pick<Claim, 'fingerprint' | 'credentialId' | 'token'>): Promise<void>;
  /**
   * Gives back what `create` reserved, of what Rekey lets go of or nothing came of. The audit trail and its head stay, as
   * a credential that is found no more.
   * @throws RekeyError as `commit`.
   */
  release(credential: Credential, ...records: readonly AuditDraft[]): Promise<void>;
}

import type { AuditDraft, AuditRecord } from '../domain/audit.ts';
import type { Instant } from '../domain/clock.ts';
import type { Family } from '../domain/families.ts';
import type { KnownToken } from '../domain/family-leak.ts';
import type { HeldSignal } from '../domain/signals/held.ts';
import type { Page } from './ledger.ts';

/** What the ledger tells of token families. */
export interface FamilyReads {
  /** By the opaque id; also one that is unregistered. */
  family(id: string): Promise<Family | undefined>;
  /** By name; of what is unregistered nothing is found by it. */
  familyByName(name: string): Promise<Family | undefined>;
  families(page?: string): Promise<Page<Family>>;
  /** Every token with this fingerprint that was given in the last 90 days, of any family. */
  byFingerprint(fingerprint: string): Promise<readonly KnownToken[]>;
  /** Ids of those that the coordinator has to look at by then, the earliest first. The index lags, so the head decides. */
  due(by: Instant, limit: number): Promise<readonly string[]>;
  /** Audit records, the newest first: a family has dozens a day, and most questions are about the last ones. */
  records(id: string): AsyncIterable<AuditRecord>;
  /**
   * Audit records of a calendar month (`YYYY-MM`) over all families, by time, without refreshes by the clock (`isRoutine`). By an
   * index, which lags.
   */
  recordsOfMonth(month: string): AsyncIterable<AuditRecord>;
}

/** Durable state of token families with their audit chains, beside that of credentials in the one table. */
export interface FamilyLedger extends FamilyReads {
  /**
   * Reserves name and secrets, which no credential has either, and writes the first record.
   * @throws RekeyError ERR_CONFLICT where one of them is taken
   */
  create(family: Family, record: AuditDraft): Promise<Family>;
  /**
   * The family as it shall be, in one transaction with its records; without any, what is no event of its life.
   * @throws RekeyError ERR_CONFLICT where somebody else has written since `before` was read: this is the fence
   */
  commit(change: {
    readonly before: Family;
    readonly after: Family;
    readonly records?: readonly AuditDraft[];
    /** What this change brings into the family's life: from then on it is found by its fingerprint, for 90 days. */
    readonly tokens?: readonly KnownToken[];
    /** A signal that waits for people, as in a change of a credential. */
    readonly held?: HeldSignal;
  }): Promise<Family>;
  /**
   * Gives back name and secrets of one that is unregistered; its chain stays.
   * @throws RekeyError as `commit`
   */
  release(family: Family, record: AuditDraft): Promise<void>;
}

import type { Credential } from '../domain/credential.ts';
import type { Revocation } from '../domain/evidence.ts';

/** What an emergency needs outside the table, so that a revocation works and leaves its intent with the table down. */
export interface Snapshots {
  /** Copy of a credential's head; it may be older than the head. Throws where it may be there and can't be read. */
  read(credentialId: string): Promise<Credential | undefined>;
  /**
   * Keeps the intent of an emergency that the ledger didn't take in time (hard decision 3), or what it has revoked where the
   * ledger takes nothing for long. A repetition of the same emergency is success and changes nothing; another emergency of the
   * same incident is kept beside it.
   */
  spool(intent: SpooledIntent): Promise<void>;
}

/** What was spooled and isn't settled, for whoever writes it into the ledger once that is back. */
export interface Spool {
  /** The keys of what was revoked, and of intents alone. */
  waiting(): Promise<{ readonly revoked: readonly string[]; readonly intended: readonly string[] }>;
  spooled(key: string): Promise<SpooledIntent>;
  /** Takes away what is in the ledger, or was there. Of what is gone already it is success. */
  settle(key: string): Promise<void>;
}

export interface SpooledIntent {
  readonly credentialId: string;
  readonly incidentId: string;
  /** The emergency's execution: one incident may be fought twice. Machines of older versions don't name it. */
  readonly emergencyId?: string;
  readonly reason: string;
  readonly actor: string;
  /** RFC 3339; of the first attempt, where there were several. */
  readonly time: string;
  /** What was revoked, once nothing else writes it down. */
  readonly revocation?: Revocation;
}

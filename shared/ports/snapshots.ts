import type { Credential } from '../domain/credential.ts';

/** What an emergency needs outside the table, so that a revocation works and leaves its intent with the table down. */
export interface Snapshots {
  /** Copy of a credential's head; it may be older than the head. Throws where it may be there and can't be read. */
  read(credentialId: string): Promise<Credential | undefined>;
  /**
   * Keeps the intent of an emergency that the ledger didn't take in time (hard decision 3). The machine's next state
   * records it in the ledger; where that fails too, this is what tells of it. A repetition of the same emergency is
   * success and changes nothing; another emergency of the same incident is kept beside it.
   */
  spool(intent: SpooledIntent): Promise<void>;
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
}

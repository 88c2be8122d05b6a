import type { Acknowledgement, Pact, Session, UseReport } from '../domain/agents.ts';
import type { Instant } from '../domain/clock.ts';
import type { Page } from './ledger.ts';

/**
 * What agents have said: items of their own beside the ledger, so that a fleet doesn't contend with heads and records
 * (hard decision 13). Nothing here changes a credential's state.
 */
export interface AgentStore {
  /** The newest version of an agent's pact. */
  pact(agent: string): Promise<Pact | undefined>;
  pacts(page?: string): Promise<Page<Pact>>;
  /**
   * Stores the next version of a pact.
   * @throws RekeyError ERR_CONFLICT where somebody else was faster.
   */
  putPact(pact: Pact): Promise<void>;

  session(agent: string, id: string): Promise<Session | undefined>;
  /** Sessions that are open or were seen in the last day, by an index or key, never by a scan. */
  sessions(agent: string): Promise<readonly Session[]>;
  /** Stores a session that is new; answers the one that is there where it was opened before. */
  openSession(session: Session): Promise<Session>;
  /** Keeps what a session says of itself now; a closed one stays closed. */
  touch(session: Pick<Session, 'agent' | 'id' | 'holds' | 'seenAt'>): Promise<void>;
  close(session: Pick<Session, 'agent' | 'id'>, at: Instant): Promise<void>;

  /** Keeps a challenge for one acknowledgement of one session and rotation. */
  challenge(of: { session: string; rotation: string; challenge: string; expires: Instant }): Promise<void>;
  /**
   * Keeps an acknowledgement and spends its challenge, together.
   * @throws RekeyError ERR_CHALLENGE where the challenge is unknown, spent or expired.
   */
  acknowledge(acknowledgement: Acknowledgement, challenge: string, now: Instant): Promise<void>;
  /** Marks an acknowledgement as contradicted; the first time counts. */
  contradict(of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session'>, at: Instant): Promise<void>;
  /** Every acknowledgement of one window. */
  acknowledgements(of: Pick<Acknowledgement, 'rotation' | 'opensAt'>): Promise<readonly Acknowledgement[]>;

  /** Adds to the counts of the minute. */
  report(use: UseReport): Promise<void>;
  /** Uses of a credential that were reported for a time, in no order. */
  uses(credentialId: string, from: Instant, to: Instant): Promise<readonly UseReport[]>;
}

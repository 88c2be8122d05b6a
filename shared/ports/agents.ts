import type { Acknowledgement, Pact, Session, Stray, UseReport } from '../domain/agents.ts';
import type { Instant } from '../domain/clock.ts';
import type { Page } from './ledger.ts';

/** What a session says of itself in one heartbeat. */
export type SaidNow = Required<Pick<Session, 'agent' | 'id' | 'sequence' | 'holds' | 'seenAt' | 'keptUntil'>>;

/**
 * What agents have said: items of their own beside the ledger, so that a fleet doesn't contend with heads and records
 * (hard decision 13). Nothing here changes a credential's state.
 */
export interface AgentStore {
  /** The newest version of an agent's pact. */
  pact(agent: string): Promise<Pact | undefined>;
  pacts(page?: string): Promise<Page<Pact>>;
  /**
   * Stores the next version of a pact, where those of `others` are still the versions that it was checked against (0: none).
   * @throws RekeyError ERR_CONFLICT where somebody else was faster.
   */
  putPact(pact: Pact, others?: ReadonlyMap<string, number>): Promise<void>;

  /** A session by its id; undefined where another one has taken its place since. */
  session(agent: string, id: string): Promise<Session | undefined>;
  /** Every session that still counts (`keptUntil`), open or closed; by their key, never by a scan. */
  sessions(agent: string): Promise<readonly Session[]>;
  /**
   * Stores a session that is new; answers the open one of the same instance and key where there is one. Either way it keeps
   * the number of the newest `opening`.
   * @throws RekeyError ERR_CONFLICT where what was open in its place has ended, and a word with that number or a higher one
   * had come there
   */
  openSession(session: Session): Promise<Session>;
  /**
   * Keeps what a session says of itself now, and answers what it has said. The same `sequence` again changes nothing: what
   * stands there is the answer.
   * @throws RekeyError ERR_CONFLICT where it has ended meanwhile, or a higher `sequence` has come before
   */
  touch(said: SaidNow): Promise<Pick<Session, 'holds' | 'seenAt'>>;
  /** Ends a session for good, and forgets it soon; one that has ended is left as it is. */
  close(session: Pick<Session, 'agent' | 'id'>, at: Instant): Promise<void>;

  /** Keeps a challenge for one acknowledgement of one session and rotation; the one before it is void. */
  challenge(of: { session: string; rotation: string; challenge: string; expires: Instant }): Promise<void>;
  /**
   * Keeps an acknowledgement and spends its challenge, together. The same one again is success, and changes nothing.
   * @throws RekeyError ERR_CHALLENGE where the challenge is unknown, spent or expired.
   */
  acknowledge(acknowledgement: Acknowledgement, challenge: string, now: Instant): Promise<void>;
  /** Marks this very acknowledgement as contradicted; the first time counts. A fresh one that has come since is left as it is. */
  contradict(
    of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session' | 'jws'>,
    at: Instant,
  ): Promise<void>;
  /** What a session has acknowledged in one window. */
  acknowledgement(
    of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session'>,
  ): Promise<Acknowledgement | undefined>;
  /** Every acknowledgement of one window. */
  acknowledgements(of: Pick<Acknowledgement, 'rotation' | 'opensAt'>): Promise<readonly Acknowledgement[]>;

  /** Adds to the counts of the minute in which `from` lies; what was reported up to `to` already is left as it is. */
  report(use: UseReport): Promise<void>;
  /** Keeps that an agent has strayed, once an hour for each credential; what it reports of it counts nowhere. */
  stray(stray: Stray): Promise<void>;
  /** Those from then on and before. */
  strays(from: Instant, before: Instant): Promise<readonly Stray[]>;
  /** Uses of a credential that were reported for a time that reaches into this one, in no order. */
  uses(credentialId: string, from: Instant, to: Instant): Promise<readonly UseReport[]>;
  /** The same by the minute in which they began, as far as they are kept (`USES_KEPT_SECONDS`). */
  useLog(credentialId: string, from: Instant, to: Instant): AsyncIterable<UseReport>;
}

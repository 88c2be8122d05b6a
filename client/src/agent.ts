import type { AgentSessionOptions } from './agent/options.ts';
import { Session, type AgentSession } from './agent/session.ts';
import { millisecondsOf } from './options.ts';

export { AgentApiError, type AgentRequest, type SignRequest } from './agent/api.ts';
export type { Notice } from './agent/notice.ts';
export type { AgentSessionOptions, CredentialSwap, SessionHooks, SessionProblem } from './agent/options.ts';
export type { AgentSession } from './agent/session.ts';
export { kmsSignature, type KmsSign, type SignWith } from './kms-signature.ts';
export type { Verifying } from './verify/published.ts';

/**
 * Opens a session of this process: Rekey knows that it runs, tells it what comes, and ends no credential before it has
 * proven that it moved. Waits, two minutes at most, for a rotation that uses the gap between sessions. Where the agent API
 * can't be reached, the session is opened later; the sources go on by themselves meanwhile.
 * @throws CredentialError where another try is pointless: ERR_DENIED, ERR_NOT_FOUND, ERR_REFUSED, ERR_OPTIONS
 */
export async function openAgentSession(options: AgentSessionOptions): Promise<AgentSession> {
  const session = new Session(options);
  await session.start();
  return session;
}

/** What a session is made of within which no credential changes. */
export interface FixedSessionOptions extends AgentSessionOptions {
  /** The longest session, as the pact says; 28,800, which is eight hours. Then the sources move by themselves. */
  readonly sessionLimitSeconds?: number;
  /**
   * What happens where the session can't be opened, e.g. because the agent API can't be reached. `work`: it runs all the
   * same, but Rekey doesn't know of it, and may end its credential before it has ended. `refuse`: after a few tries it
   * doesn't run. `work` where nothing is said.
   */
  readonly whenUnlisted?: 'work' | 'refuse';
}

/**
 * For agents whose pact says `between-sessions`: opens a session, runs `work`, and closes it. The sources are read once more
 * before, and keep their versions while `work` runs, unless the upstream refuses one or a notice is urgent.
 * @throws what `work` throws; CredentialError as `openAgentSession` does, and with `whenUnlisted: 'refuse'` what kept the
 * session from being opened
 */
export async function withSession<T>(
  options: FixedSessionOptions,
  work: (session: AgentSession) => T | Promise<T>,
): Promise<T> {
  const seconds = options.sessionLimitSeconds ?? 8 * 3600;
  millisecondsOf('sessionLimitSeconds', seconds);
  const session = new Session(options, seconds);
  await session.start(options.whenUnlisted === 'refuse');
  try {
    await session.keep();
    return await work(session);
  } finally {
    await session.close();
  }
}

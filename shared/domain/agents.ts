import { createHash } from 'node:crypto';
import { plusSeconds, type Instant } from './clock.ts';

/** How an agent takes a new value of one credential. */
export interface PactCredential {
  /** Name of the credential. */
  readonly credential: string;
  /** `between-sessions`: it can't change the value while it works. */
  readonly refresh: 'in-session' | 'between-sessions';
  /** Longest time that it keeps a value after it has changed. */
  readonly ttlSeconds: number;
  /** Longest time that it works on while the vault can't be reached (T1). */
  readonly staleLimitSeconds: number;
  /** Whether it reports successes and refusals. */
  readonly uses: 'reported' | 'unreported';
  /** Most uses within an hour that are to be expected, of all its instances together (T1). Absent where nothing says. */
  readonly usesPerHour?: number;
  /** Sub-agents that get the credential from it (Z11). */
  readonly delegates: readonly string[];
}

/** That an agent was taken out of service. */
export interface Decommissioning {
  readonly at: Instant;
  /** ARN of who did it. */
  readonly actor: string;
  readonly reason: string;
  readonly incidentId: string;
}

/** What an agent can bear, as it or an operator has registered it (T1; docs/agents.md). */
export interface Pact {
  /** Name of the agent: that of a holder of kind `client`. */
  readonly agent: string;
  readonly credentials: readonly PactCredential[];
  /** It writes a checkpoint when told that a rotation comes (Z5). */
  readonly checkpoint: boolean;
  readonly sessionLimitSeconds: number;
  /** Raised by every registration that changes something. */
  readonly version: number;
  /** ARN of who registered it. */
  readonly actor: string;
  readonly registeredAt: Instant;
  /** It is out of service: it has no say, until an operator registers a pact for it again. */
  readonly decommissioned?: Decommissioning;
}

/** What an instance can bear, and whether it reports: an instance keeps to the pact of its own release, whatever is registered after it. */
export interface Bears {
  readonly credentials: readonly Pick<
    PactCredential,
    'credential' | 'refresh' | 'ttlSeconds' | 'staleLimitSeconds' | 'uses'
  >[];
  readonly sessionLimitSeconds: number;
}

/** What a pact says of the sessions that are opened under it. */
export function bearsOf({ credentials, sessionLimitSeconds }: Bears): Bears {
  return {
    credentials: credentials.map(({ credential, refresh, ttlSeconds, staleLimitSeconds, uses }) => ({
      credential,
      refresh,
      ttlSeconds,
      staleLimitSeconds,
      uses,
    })),
    sessionLimitSeconds,
  };
}

/** What an instance says that it holds. */
export interface Held {
  readonly credential: string;
  readonly versionId: string;
}

/** Public key of an instance, or a symmetric one that was encrypted before it came here. */
export type InstanceKey =
  | { readonly kind: 'public'; readonly jwk: Readonly<Record<string, string>> }
  | { readonly kind: 'sealed'; readonly sealed: string };

/** The time in which an instance of an agent holds credentials. */
export interface Session {
  readonly agent: string;
  readonly id: string;
  /** Name of the process as its operators know it, e.g. host and process id. */
  readonly instance: string;
  readonly key: InstanceKey;
  /** Thumbprint of the key (RFC 7638). */
  readonly thumbprint: string;
  readonly openedAt: Instant;
  readonly seenAt: Instant;
  readonly closedAt?: Instant;
  readonly holds: readonly Held[];
  /** Number of its newest opening. Absent in what versions before wrote. */
  readonly opening?: number;
  /** Number of its newest heartbeat; absent before the first. */
  readonly sequence?: number;
  /** By the pact under which it was opened. */
  readonly bears?: Bears;
  /** From then on it counts for nothing any more, closed or not, and is forgotten. */
  readonly keptUntil: Instant;
}

/** Proof by an instance that it has the value that a window is about. */
export interface Acknowledgement {
  readonly credentialId: string;
  readonly rotation: string;
  /** The window, by its opening: the way back of a rollback is another one. */
  readonly opensAt: Instant;
  readonly agent: string;
  readonly session: string;
  readonly instance: string;
  readonly versionId: string;
  readonly fingerprint: string;
  readonly persisted: boolean;
  readonly at: Instant;
  /** The JWS as it came: whoever has the instance's key can check it again. */
  readonly jws: string;
  readonly thumbprint: string;
  /** Seen with an older version afterwards: it no longer counts. */
  readonly contradictedAt?: Instant;
}

/** Uses of one version of a credential by one session, as it reported them. */
export interface UseReport {
  readonly credentialId: string;
  readonly agent: string;
  readonly session: string;
  readonly versionId: string;
  readonly succeeded: number;
  /** Refused by the upstream as unauthenticated. */
  readonly refused: number;
  readonly from: Instant;
  readonly to: Instant;
}

/** That an agent has reported uses of a credential which neither its pact nor the declaration gives it. */
export interface Stray {
  readonly credentialId: string;
  readonly agent: string;
  readonly at: Instant;
}

/**
 * How long reports of uses are kept beside the ledger: the longest ordinary interval of a credential and its window, so that
 * an incident finds the whole life of a value. The archive keeps them for good.
 */
export const USES_KEPT_SECONDS = 35 * 86_400;

/** How often a session says that it lives, in seconds; three missed ones and it counts as lost. */
export const HEARTBEAT_SECONDS = 60;
export const LOST_AFTER_SECONDS = 3 * HEARTBEAT_SECONDS;

/** How long a challenge may be answered. */
export const CHALLENGE_SECONDS = 120;

/** Whether a session counts as running: neither closed nor silent for too long. */
export function isLost({ seenAt, closedAt }: Session, now: number): boolean {
  return closedAt === undefined && Date.parse(seenAt) + LOST_AFTER_SECONDS * 1000 <= now;
}

/** Longest session that a pact may name: no credential is left in place for longer. */
export const MAX_SESSION_SECONDS = 30 * 86_400;

/** The time that one report of uses covers at most. */
export const LONGEST_REPORT_SECONDS = 600;

/** Sessions of one agent that run at a time, and those that are remembered; a few more where they open at once. */
export const MAX_RUNNING_SESSIONS = 1000;
export const MAX_SESSIONS = 10_000;

/** So far may the time of a signed opening be from the server's, either way. */
export const OPENING_SECONDS = 60;

/**
 * How long a session is remembered that has closed: its instance may repeat that, a gap may have come of it, and nobody else
 * opens it again by sending its opening once more. That is good for twice `OPENING_SECONDS`; clocks of functions differ a bit.
 */
export const CLOSED_KEPT_SECONDS = 3 * OPENING_SECONDS;

/** Whether an agent has as many sessions as are taken: of whoever else works, nothing is known. */
export function isFull(sessions: readonly Session[], now: number): boolean {
  if (sessions.length >= MAX_SESSIONS) return true;
  const running = sessions.filter((session) => session.closedAt === undefined && !isLost(session, now));
  return running.length >= MAX_RUNNING_SESSIONS;
}

/** Number of the newest word of a session; its instance's next one is above it. */
export function newestNumber({ opening = -1, sequence = -1 }: Pick<Session, 'opening' | 'sequence'>): number {
  return Math.max(opening, sequence);
}

const DAY_SECONDS = 86_400;

/**
 * Until when a session that was last seen at `seenAt` counts: a day, or for as long as its instance may work by the pact
 * without being heard of; the pact of now and that of its opening.
 */
export function keptUntil(seenAt: Instant, pact: Bears, opened?: Bears): Instant {
  const alone = [pact, ...(opened === undefined ? [] : [opened])].flatMap(
    ({ credentials, sessionLimitSeconds }) => [
      sessionLimitSeconds,
      ...credentials.map(({ ttlSeconds, staleLimitSeconds }) => ttlSeconds + staleLimitSeconds),
    ],
  );
  return plusSeconds(seenAt, LOST_AFTER_SECONDS + Math.max(DAY_SECONDS, ...alone));
}

/**
 * Id of the session of an instance under a key: its place, which is the same for the same instance and key, and what
 * tells it from the sessions that were there before.
 */
export function sessionId(instance: string, thumbprint: string, nonce: string): string {
  const place = createHash('sha256').update(`${thumbprint}\n${instance}`).digest('hex').slice(0, 32);
  return `${place}.${nonce}`;
}

/** The place of a session: one open session is in it at a time. */
export function placeOf(session: string): string {
  return session.split('.')[0] ?? '';
}

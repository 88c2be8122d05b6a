import { isLost } from './agents.ts';
import { termsOf, type KnownAgent } from './client-evidence.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Credential } from './credential.ts';
import { inTheWay, latestStart } from './deferral.ts';

/** Instances of an agent named one by one, at most. */
const MOST = 10;

/** An agent that a rotation hits now. */
export interface AgentHit {
  readonly name: string;
  /** Who hands it the credential, where it is a sub-agent. */
  readonly from?: string;
  /** Sessions that run now. */
  readonly sessions: number;
  /** As its pact says; absent without one. */
  readonly refresh?: 'in-session' | 'between-sessions';
  /** Its sessions that can't change the value: their tasks are at risk where the rotation doesn't wait. Longest first. */
  readonly atRisk: readonly { readonly instance: string; readonly since: Instant }[];
}

/** How long a rotation would wait for the gap between sessions. */
export interface PredictedDeferral {
  readonly agents: readonly string[];
  /** When the longest of their sessions ends, by the pacts; no later than `until`. */
  readonly begins: Instant;
  readonly until: Instant;
}

/** Who is in session now, and whose task is at risk. */
export function agentsHit(credential: string, agents: readonly KnownAgent[], now: number): AgentHit[] {
  return agents.map(({ name, from, pact, sessions }) => {
    const running = sessions.filter((each) => each.closedAt === undefined && !isLost(each, now));
    const refresh = termsOf(pact, credential)?.refresh;
    const stuck = refresh === 'between-sessions' ? running : [];
    return {
      name,
      ...(from === undefined ? {} : { from }),
      sessions: running.length,
      ...(refresh === undefined ? {} : { refresh }),
      atRisk: stuck
        .map(({ instance, openedAt }) => ({ instance, since: openedAt }))
        .toSorted((a, b) => (a.since < b.since ? -1 : 1))
        .slice(0, MOST),
    };
  });
}

/** How long a rotation that a person asks for now would wait; undefined where nobody is in its way. */
export function predictDeferral(
  credential: Credential,
  agents: readonly KnownAgent[],
  now: number,
): PredictedDeferral | undefined {
  const waiting = inTheWay(agents, credential.name, now);
  if (waiting.length === 0) return undefined;
  const announced = now + credential.policy.announceSeconds * 1000;
  const until = latestStart(credential, { kind: 'operator' }, waiting, announced);
  const ends = waiting.flatMap(({ pact, sessions }) =>
    sessions
      .filter((each) => each.closedAt === undefined && !isLost(each, now))
      .map(({ openedAt }) => fromInstant(plusSeconds(openedAt, pact?.sessionLimitSeconds ?? 0))),
  );
  const gap = toInstant(Math.max(announced, ...ends));
  return { agents: waiting.map(({ name }) => name), begins: gap < until ? gap : until, until };
}

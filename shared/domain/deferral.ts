import { isLost, type Bears } from './agents.ts';
import { dueOf, type Planned } from './calendar.ts';
import type { KnownAgent } from './client-evidence.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import { GAP_SECONDS } from './notices.ts';
import type { Deferral, Rotation, Trigger } from './rotation.ts';
import { MAX_WAKE_UPS } from './window.ts';

/** Looks of a deferral that one execution takes, each some twenty events of its history (hard decision 5). */
export const LOOKS_PER_EXECUTION = 20;

/** Agents in session that can't change the value of a credential within one (T2). */
export function inTheWay(agents: readonly KnownAgent[], credential: string, now: number): KnownAgent[] {
  const fixed = (bears: Bears | undefined): boolean =>
    bears?.credentials.find((each) => each.credential === credential)?.refresh === 'between-sessions';
  return agents.filter(({ pact, sessions }) =>
    sessions.some(
      (session) =>
        session.closedAt === undefined &&
        !isLost(session, now) &&
        // Whatever is registered now, an instance of the release before can bear what it could.
        (fixed(pact) || fixed(session.bears)),
    ),
  );
}

/**
 * Whether the gap that a deferred rotation waits for is there: the last session that stood against it has ended, and the
 * lifecycle is on its way. Who opened another one now would take the gap away again, each time, until the deadline.
 */
export function gapHasCome(
  agents: readonly KnownAgent[],
  credential: string,
  { phase, deferred }: Pick<Rotation, 'phase' | 'deferred'>,
  now: number,
): boolean {
  if (phase !== 'announced' || deferred === undefined || inTheWay(agents, credential, now).length > 0) {
    return false;
  }
  return agents.some(({ sessions }) =>
    sessions.some(
      ({ closedAt }) =>
        closedAt !== undefined &&
        closedAt >= deferred.since &&
        now < fromInstant(closedAt) + GAP_SECONDS * 1000,
    ),
  );
}

/**
 * The latest start of a rotation that waits for a gap between sessions: what is due, at its deadline; what a person asks
 * for, after the longest session that the pacts allow, if that is sooner.
 */
export function latestStart(
  credential: Planned,
  trigger: Pick<Trigger, 'kind'>,
  agents: readonly KnownAgent[],
  now: number,
): Instant {
  const deadline = dueOf(credential)?.deadline ?? toInstant(now);
  if (trigger.kind === 'planner') return deadline;
  const session = Math.max(0, ...agents.map(({ pact }) => pact?.sessionLimitSeconds ?? 0));
  const ended = plusSeconds(toInstant(now), session);
  return ended < deadline ? ended : deadline;
}

/** When a deferral is looked at again: spread over its time, at most so often as a window; the last is its end. */
export function nextDeferredLook({ until, wakeUps = 0 }: Pick<Deferral, 'until' | 'wakeUps'>, now: number) {
  const end = fromInstant(until);
  return toInstant(Math.min(end, now + Math.ceil((end - now) / Math.max(1, MAX_WAKE_UPS + 1 - wakeUps))));
}

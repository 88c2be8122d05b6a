import type { Pact, Session, UseReport } from './agents.ts';
import { isLost } from './agents.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Authentication, Uses } from './holder-evidence.ts';
import { share, sum } from './uses.ts';
import { named } from './named.ts';

/** How long authentication errors must not have risen (P4); a shorter window, its own length. */
const WATCHED_SECONDS = 900;

/** The two times that are compared, each as long as the other: of late, and just before the window opened. */
export interface Spans {
  readonly recent: { readonly from: Instant; readonly to: Instant };
  readonly before: { readonly from: Instant; readonly to: Instant };
}

/** What is compared in a window at `now`. */
export function spansOf(window: { opensAt: Instant; earliestClose: Instant }, now: number): Spans {
  const length = (fromInstant(window.earliestClose) - fromInstant(window.opensAt)) / 1000;
  const seconds = Math.min(WATCHED_SECONDS, length);
  const from = Math.max(fromInstant(window.opensAt), now - seconds * 1000);
  return {
    recent: { from: toInstant(from), to: toInstant(now) },
    before: { from: plusSeconds(window.opensAt, -seconds), to: window.opensAt },
  };
}

/** Reports of both times, in no order. */
export interface Reported {
  readonly recent: readonly UseReport[];
  readonly before: readonly UseReport[];
}

/** An agent as far as its reports count. */
export interface Reporter {
  readonly name: string;
  readonly uses: 'reported' | 'unreported';
  readonly sessions: readonly Session[];
}

/**
 * Whether authentication errors have risen: more refusals than before the opening, and more of all uses. Undefined where
 * none of `agents` has said that it reports.
 */
export function authenticationOf(
  agents: readonly Reporter[],
  reported: Reported,
  { recent, before }: Spans,
  now: number,
): Authentication | undefined {
  const reporting = agents.filter(({ uses }) => uses === 'reported');
  if (reporting.length === 0) return undefined;
  const names = new Set(reporting.map(({ name }) => name));
  const ofThem = ({ agent }: UseReport): boolean => names.has(agent);
  // A minute in which the window opened counts as one after it.
  const late = reported.recent.filter((use) => ofThem(use) && use.to > recent.from);
  const early = reported.before.filter((use) => ofThem(use) && use.to <= before.to && use.to > before.from);
  const [since, then] = [sum(late), sum(early)];
  const said = new Set(late.map(({ agent }) => agent));
  const silent = reporting.filter(
    ({ name, sessions }) =>
      !said.has(name) &&
      sessions.some(
        (session) =>
          session.closedAt === undefined && !isLost(session, now) && session.openedAt <= recent.from,
      ),
  );
  return {
    ...recent,
    ...since,
    before: then,
    risen: since.refused > then.refused && share(since) > share(then),
    silent: named(silent.map(({ name }) => name)),
  };
}

/** Why authentication errors are against the end of a window, in words. */
export function whyNotQuiet(authentication: Authentication): string[] {
  const { from, succeeded, refused, before, risen, silent } = authentication;
  const of = (uses: Uses): string => `${uses.refused} of ${uses.refused + uses.succeeded}`;
  return [
    ...(risen
      ? [
          `authentication errors have risen: ${of({ succeeded, refused })} uses were refused since ${from}, ${of(before)} before the window`,
        ]
      : []),
    ...silent.names.map(
      (name) => `${name} reports its uses and has reported none since ${from}, though it is in session`,
    ),
  ];
}

/**
 * Whether an agent reports its uses of a credential, by its pact; and by that under which a session was opened that runs
 * on, so that no later pact takes its refusals out of the proof.
 */
export function usesOf(
  pact: Pact | undefined,
  credential: string,
  sessions: readonly Session[],
): Reporter['uses'] {
  const running = sessions.filter(({ closedAt }) => closedAt === undefined).map(({ bears }) => bears);
  return [pact, ...running].some(
    (bears) => bears?.credentials.find((each) => each.credential === credential)?.uses === 'reported',
  )
    ? 'reported'
    : 'unreported';
}

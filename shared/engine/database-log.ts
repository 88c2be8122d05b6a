import { fromInstant, plusSeconds, toInstant } from '../domain/clock.ts';
import { loginsOf, type Login } from '../domain/database-logs/logins.ts';
import { postgresLine, type NoLine, type PostgresLine } from '../domain/database-logs/postgresql.ts';
import {
  isLogOf,
  placeLogin,
  serverOf,
  type DatabaseLog,
  type LoginPlace,
} from '../domain/database-logs/servers.ts';
import { harmless } from '../domain/readers.ts';
import type { UpstreamUse } from '../domain/upstream-use.ts';
import type { UpstreamUses } from '../ports/upstream-uses.ts';
import type { LoginPlaces } from './login-places.ts';

/** Lines of one stream of a database's log, in their order. */
export interface LogLines {
  readonly log: DatabaseLog;
  readonly stream: string;
  readonly messages: readonly string[];
}

/** For the log of the function: what came of the lines, with names of Rekey's own only. */
export interface DatabaseLogAnswer {
  readonly lines: number;
  readonly logins: number;
  readonly written: number;
  /** Logins of nobody who is registered. */
  readonly strangers: number;
  readonly dropped: Readonly<Partial<Record<NoLine, number>>>;
  /** Names of credentials one of which may have logged in: the settings don't say which. */
  readonly undecided: readonly string[];
}

/** A server's clock may be ahead by as much. */
const AHEAD_MS = 5 * 60_000;

/**
 * Keeps who has logged in to databases, from the lines of their logs, and of which times these have told. Whatever a line
 * holds, it is a login or it is counted: nothing else of it is kept. Given again, or out of order, it comes to the same.
 */
export async function observeDatabaseLog(
  deps: {
    readonly places: LoginPlaces;
    readonly uses: UpstreamUses;
    readonly logs: readonly DatabaseLog[];
    readonly clock: () => number;
  },
  { log, stream, messages }: LogLines,
): Promise<DatabaseLogAnswer> {
  const { uses, logs } = deps;
  const latest = toInstant(deps.clock() + AHEAD_MS);
  const lines = messages.map((message) => {
    const line = postgresLine(message);
    return typeof line !== 'string' && line.at > latest ? 'malformed' : line;
  });
  const logins = loginsOf(lines);
  const places = await deps.places.knowing(new Set(logins.map(({ login }) => login)));
  const found: UpstreamUse[] = [];
  const undecided = new Set<string>();
  let strangers = 0;
  for (const login of logins) {
    const placed = placeLogin(login.login, log, stream, places, logs);
    if (placed.kind === 'of') found.push(useOf(login, placed.place.credentialId));
    else if (placed.kind === 'stranger') strangers += 1;
    else for (const { name } of placed.candidates) undecided.add(name);
  }
  const written = await uses.keep(found);
  // After the uses: what is told of stands before the time counts as told of.
  const told = lines.flatMap((line) =>
    typeof line === 'string' || isForgeable(line) ? [] : [{ from: line.at, to: endOf(line.at) }],
  );
  const here = places.filter((place) => isLogOf(log, stream, place) === true);
  if (told.length > 0) for (const of of toldOf(here)) await uses.cover('database-log', of, told);
  return {
    lines: lines.length,
    logins: logins.length,
    written,
    strangers,
    dropped: countOf(lines.filter((line) => typeof line === 'string')),
    undecided: [...undecided].toSorted(),
  };
}

function useOf(
  { login, at, outcome, database, address, application }: Login,
  credentialId: string,
): UpstreamUse {
  return {
    credentialId,
    source: 'database-log',
    keyId: login,
    who: application ?? login,
    ...(address === undefined ? {} : { address }),
    // Who is refused has touched none; it may have named ever others, or its password.
    ...(database === undefined || outcome === 'refused' ? {} : { scope: harmless(database) }),
    outcome,
    from: at,
    // The last instant at which it may have been.
    to: toInstant(fromInstant(endOf(at)) - 1),
  };
}

/**
 * Of whom a server's log tells: of all at the server; where two share a login, by their ids, of the others alone. Uses of those two
 * are kept for neither, so that silence says nothing of them.
 */
function toldOf(here: readonly LoginPlace[]): Set<string> {
  const sharing = here.filter((place) =>
    here.some((other) => other !== place && other.logins.some((login) => place.logins.includes(login))),
  );
  const servers = new Set(sharing.map(serverOf));
  const others = here.filter((place) => !sharing.includes(place));
  return new Set(
    others.map((place) => (servers.has(serverOf(place)) ? place.credentialId : serverOf(place))),
  );
}

/** Its time too is then whatever somebody without a password may have typed. */
function isForgeable(line: PostgresLine): boolean {
  return line.kind === 'refused' && line.isShort === true;
}

/** A line tells of its instant; of its second, where the log has whole ones. */
function endOf(at: string): string {
  return fromInstant(at) % 1000 === 0 ? plusSeconds(at, 1) : toInstant(fromInstant(at) + 1);
}

function countOf(dropped: readonly NoLine[]): Partial<Record<NoLine, number>> {
  const counts: Partial<Record<NoLine, number>> = {};
  for (const why of dropped) counts[why] = (counts[why] ?? 0) + 1;
  return counts;
}

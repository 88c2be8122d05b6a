import * as z from 'zod';
import type { Credential } from '../credential.ts';

/** A log group with the log of a database server, as the settings name it. */
export interface DatabaseLog {
  readonly logGroupArn: string;
  /** Hosts of targets that are this server, with or without `:port`; RDS's own names need none. */
  readonly hosts: readonly string[];
}

/** Where a credential logs in, and as whom. */
export interface LoginPlace {
  readonly credentialId: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly logins: readonly string[];
}

/** Whose login it was, or why nobody can say. */
export type Placed =
  | { readonly kind: 'of'; readonly place: LoginPlace }
  /** Of no registered credential at this server. */
  | { readonly kind: 'stranger' }
  /** Several credentials could have it: two at this server, or some whose server nothing tells. */
  | { readonly kind: 'undecided'; readonly candidates: readonly LoginPlace[] };

const target = z.object({
  host: z.string().transform((host) => host.toLowerCase()),
  port: z.number(),
  users: z.array(z.string()).catch([]),
});

/** The providers whose servers write such a log. */
const PROVIDERS: ReadonlySet<string> = new Set(['database/postgresql', 'database-root/postgresql-master']);

/** Where a credential logs in; undefined where its upstream is no such server. */
export function loginPlaceOf(
  credential: Pick<Credential, 'id' | 'name' | 'type' | 'provider' | 'target' | 'current' | 'live'>,
): LoginPlace | undefined {
  const { id, name, type, provider, current, live } = credential;
  const { data } = target.safeParse(credential.target);
  if (data === undefined || !PROVIDERS.has(`${type}/${provider}`)) return undefined;
  const handles = [...live, ...(current === undefined ? [] : [current.handle])];
  const logins = [...new Set([...data.users, ...handles.map((handle) => handle.id)])];
  return { credentialId: id, name, host: data.host, port: data.port, logins };
}

/** Under which key it is kept of which times a server's log has told. */
export function serverOf({ host, port }: Pick<LoginPlace, 'host' | 'port'>): string {
  return `server:${host}:${port}`;
}

/** `orders.abc.eu-central-1.rds.amazonaws.com`, `orders.cluster-abc.…`, `orders.cluster-ro-abc.…`, `some.cluster-custom-abc.…`. */
const ENDPOINT =
  /^(?<id>[a-z][a-z0-9-]*)\.(?<kind>cluster-ro-|cluster-custom-|cluster-)?[a-z0-9]+\.(?<region>[a-z0-9-]+)\.rds\.amazonaws\.com(?:\.cn)?$/;
const LOG_GROUP =
  /^arn:[^:]+:logs:(?<region>[^:]+):\d{12}:log-group:\/aws\/rds\/(?<kind>instance|cluster)\/(?<id>[^/]+)\/postgresql$/;

/** Whether this log is of the server that a credential logs in to; undefined where nothing tells. */
export function isLogOf(
  { logGroupArn, hosts }: DatabaseLog,
  stream: string,
  { host, port }: Pick<LoginPlace, 'host' | 'port'>,
): boolean | undefined {
  const isNamed = hosts.some((each) => [host, `${host}:${port}`].includes(each.toLowerCase()));
  return isNamed || (rdsSays(logGroupArn, stream, host) ?? (hosts.length > 0 ? false : undefined));
}

function rdsSays(logGroupArn: string, stream: string, host: string): boolean | undefined {
  const group = LOG_GROUP.exec(logGroupArn)?.groups;
  const endpoint = ENDPOINT.exec(host)?.groups;
  if (group === undefined || endpoint === undefined) return undefined;
  if (group['region'] !== endpoint['region']) return false;
  const { id, kind } = endpoint;
  if (group['kind'] === 'instance') return kind === undefined && id === group['id'];
  if (kind === 'cluster-' || kind === 'cluster-ro-') return id === group['id'];
  // Which instances a cluster has, and which a custom endpoint, nothing tells but the stream of the one that writes.
  return kind === undefined && stream.replace(/\.\d+$/, '') === id ? true : undefined;
}

/**
 * Whose a login at a server is. The same name may exist at several: the log and what is declared of the server decide, and
 * nobody guesses where they don't.
 */
export function placeLogin(
  login: string,
  log: DatabaseLog,
  stream: string,
  places: readonly LoginPlace[],
  logs: readonly DatabaseLog[],
): Placed {
  const named = places.filter(({ logins }) => logins.includes(login));
  const here = named.filter((place) => isLogOf(log, stream, place) === true);
  const [first, second] = here;
  if (first !== undefined) {
    return second === undefined ? { kind: 'of', place: first } : { kind: 'undecided', candidates: here };
  }
  const others = logs.filter(({ logGroupArn }) => logGroupArn !== log.logGroupArn);
  const candidates = named.filter(
    (place) =>
      isLogOf(log, stream, place) === undefined &&
      !others.some((other) => isLogOf(other, '', place) === true),
  );
  return candidates.length === 0 ? { kind: 'stranger' } : { kind: 'undecided', candidates };
}

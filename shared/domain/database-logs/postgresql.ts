import { isIP } from 'node:net';
import { toInstant, type Instant } from '../clock.ts';
import { harmless } from '../readers.ts';

/** The connection that a line is of: process, address and port. No two that are open at once share it. */
type Connection = string;

/** What a line of PostgreSQL's log says of connections. */
export type PostgresLine =
  /** Somebody has connected, and shown nothing yet. */
  | { readonly kind: 'received'; readonly at: Instant; readonly connection: Connection }
  /** The password was right. */
  | {
      readonly kind: 'authorized';
      readonly at: Instant;
      readonly connection: Connection;
      readonly login: string;
      readonly database?: string;
      readonly address?: string;
      readonly application?: string;
    }
  /** The login was refused, be it after a right password. */
  | {
      readonly kind: 'refused';
      readonly at: Instant;
      readonly connection: Connection;
      readonly login: string;
      readonly database?: string;
      readonly address?: string;
      /** Names could have made it up: it counts only where nothing shows that lines were broken. */
      readonly isShort?: true;
    }
  /** Of something else: it shows that the log is delivered, no more. */
  | { readonly kind: 'other'; readonly at: Instant };

/** Why nothing is taken from a line. */
export type NoLine =
  /** The rest of a message, where each line is delivered by itself. */
  | 'continued'
  /** Not with RDS's prefix, or cut up by a name with a line break in it. */
  | 'malformed'
  /** So short that the names which a client shows before its password could have made it up. */
  | 'forgeable';

/** Names are cut off to 63 bytes before they are logged (NAMEDATALEN − 1); not by PostgreSQL 17.0 to 17.2. */
const NAME_BYTES = 63;

/** No line of a connection is longer: names and an application's have 63 bytes each, of the latter escaped. */
const MAX_LENGTH = 2048;

/** `%t:%r:` or `%m:%r:`, as RDS has it; its time zone is fixed. */
const BEGINNING =
  /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d{3})?) UTC:(?:\[local\]|([0-9A-Fa-f.:]{2,45})\((\d{1,5})\))?:/;
/** `%u@%d:[%p]:`, then what RDS's longer prefix has: `%l:%e:%s:%v:%x:%c:%q%a:`, whose end its client chooses. */
const MESSAGE =
  /^(?<names>.{1,130}?):\[(?<pid>\d{1,10})\]:(?:\d+:[0-9A-Z]{5}:\d{4}-[^@[\]]{15,60}:[0-9a-f]+\.[0-9a-f]+:(?:.{0,63}?:)?)?(?<level>LOG|FATAL): {2}(?<message>.*)$/;
const RECEIVED = /^connection received: host=(\S+) port=(\d+)$/;
const AUTHORIZED = /^(?<replication>replication )?connection authorized: user=(?<rest>.*)$/;
/** What may follow the names: of the application's name, whatever the client likes. */
const AFTER_NAMES =
  /^(?: application_name=(?<application>.*?))?(?: SSL enabled \(protocol=\S+, cipher=\S+, bits=\d+[^()]*\)| GSS \([^()]*\))?$/;
/** Of a role without LOGIN the password is looked at first: so a suspended login is refused after it was authorized. */
const REFUSED = [
  /^password authentication failed for user "(?<login>.*)"$/,
  /^role "(?<login>.*)" is not permitted to log in$/,
  /^(?:no pg_hba\.conf entry|pg_hba\.conf rejects connection) for host "[^"]*", user "(?<login>.*)", database ".*", [a-zA-Z ]+$/,
];

/**
 * What a line of the log says, with RDS's prefix (`%t:%r:%u@%d:[%p]:` or its longer one). Pure, and total: a line may be
 * anything. Names stand raw in the prefix, so that whoever may connect can break lines and begin others: what names could
 * have made up counts for nothing, and a login counts only where prefix and message agree on it.
 */
export function postgresLine(text: string): PostgresLine | NoLine {
  // PostgreSQL itself begins what continues a message with a tab.
  if (text.startsWith('\t')) return 'continued';
  const [line = '', ...others] = text.replace(/\r?\n$/, '').split('\n');
  if (others.some((each) => !each.startsWith('\t'))) return 'malformed';
  const [beginning, day, time, address, port] = BEGINNING.exec(line) ?? [];
  const at = Date.parse(`${day ?? ''}T${time ?? ''}Z`);
  if (beginning === undefined || Number.isNaN(at) || (address !== undefined && isIP(address) === 0))
    return 'malformed';
  const isShort = fitsInNames(line);
  const rest = line.slice(beginning.length, MAX_LENGTH);
  const { names, pid, level, message } = MESSAGE.exec(rest)?.groups ?? {};
  const common = { at: toInstant(at) };
  const connection = `${pid ?? ''} ${address ?? ''} ${port ?? ''}`;
  const of = { ...common, connection, ...(address === undefined ? {} : { address }) };
  if (level === 'FATAL' && names !== undefined && message !== undefined) {
    const read = refused(message, names);
    if (read !== undefined) return { kind: 'refused', ...of, ...read, ...(isShort ? { isShort } : {}) };
  }
  if (isShort) return 'forgeable';
  if (level !== 'LOG' || names === undefined || message === undefined) return { kind: 'other', ...common };
  const [, host, from] = RECEIVED.exec(message) ?? [];
  if (host !== undefined && host === address && from === port)
    return { kind: 'received', ...common, connection };
  const read = authorized(message, names);
  return read === undefined ? { kind: 'other', ...common } : { kind: 'authorized', ...of, ...read };
}

/** Whether a line is no longer than what a user's and a database's name, with the `@` between them, can spell. */
function fitsInNames(line: string): boolean {
  const bytes = Buffer.from(line);
  for (let at = bytes.indexOf('@'); at !== -1 && at < NAME_BYTES; at = bytes.indexOf('@', at + 1)) {
    if (bytes.length - at - 1 <= NAME_BYTES) return true;
  }
  return false;
}

interface Names {
  readonly login: string;
  readonly database?: string;
}

function authorized(message: string, names: string): (Names & { readonly application?: string }) | undefined {
  const { replication, rest } = AUTHORIZED.exec(message)?.groups ?? {};
  if (rest === undefined) return undefined;
  // Either name may hold an `@`: the one between them is where the message says the same.
  for (let at = names.indexOf('@'); at !== -1; at = names.indexOf('@', at + 1)) {
    const login = names.slice(0, at);
    const read = named(login, names);
    const said = replication === undefined ? `${login} database=${read.database ?? ''}` : login;
    const after = rest.startsWith(said) ? AFTER_NAMES.exec(rest.slice(said.length)) : null;
    if (after === null) continue;
    const application = harmless(after.groups?.['application'] ?? '');
    return { ...read, ...(application === '' ? {} : { application }) };
  }
  return undefined;
}

function refused(message: string, names: string): Names | undefined {
  const login = REFUSED.map((pattern) => pattern.exec(message)?.groups?.['login']).find(
    (each) => each !== undefined,
  );
  return login === undefined || !names.startsWith(`${login}@`) ? undefined : named(login, names);
}

function named(login: string, names: string): Names {
  const database = names.slice(login.length + 1);
  return { login, ...(database === '[unknown]' ? {} : { database }) };
}

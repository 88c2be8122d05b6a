import type { CredentialEntry } from './declaration.ts';
import { isComplete, proposalText, type ProposedHolder } from './readers.ts';
import type { Redacted } from './redacted.ts';

/**
 * What a secret that exists could be to Rekey: pure decisions on facts, for `rekey import`. A value is looked at for its
 * form only; what is kept of it are the names of its keys and what isn't secret in it.
 */

/** The form of a secret's value. */
export type Shape =
  | {
      readonly kind: 'json';
      readonly keys: readonly string[];
      readonly engine?: string | undefined;
      readonly host?: string | undefined;
      readonly port?: number | undefined;
      readonly database?: string | undefined;
      readonly username?: string | undefined;
    }
  | { readonly kind: 'text' }
  /** Not looked at, or not readable; `why` says what would change that. */
  | { readonly kind: 'unknown'; readonly why: string };

export interface SecretFacts {
  readonly name: string;
  readonly arn: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Whether a credential has it already. */
  readonly registered: boolean;
  readonly owningService?: string | undefined;
  /** The key that encrypts it; absent under the key of the service. */
  readonly kmsKey?: string | undefined;
  /** Another function that rotates it. */
  readonly rotationFunction?: string | undefined;
  readonly lastAccessed?: string | undefined;
  readonly lastChanged?: string | undefined;
  /** Who was seen to read it, with what could be declared of them. */
  readonly readers?: readonly { readonly proposal?: ProposedHolder | undefined }[] | undefined;
  readonly shape: Shape;
}

/** A type with its provider, as an entry names them, e.g. `database/postgresql`. */
export type Kind = `${string}/${string}`;

/** What an import makes of a secret. */
export type Finding =
  | { readonly verdict: 'proposed'; readonly entry: CredentialEntry; readonly notes: readonly string[] }
  | { readonly verdict: 'registered' }
  /** Its shape fits several kinds, or too little is known: a person decides. */
  | { readonly verdict: 'undecided'; readonly why: string; readonly remedy: string }
  | { readonly verdict: 'left-out'; readonly why: string };

type LambdaEntry = Extract<NonNullable<CredentialEntry['holders']>[number], { kind: 'lambda' }>;

/** What Rekey can rotate today; anything else is recognised and left out. */
const SUPPORTED: ReadonlySet<Kind> = new Set(['database/postgresql']);

/** Engines as Secrets Manager's own JSON of a database names them. */
const ENGINES: Readonly<Record<string, Kind>> = {
  postgres: 'database/postgresql',
  postgresql: 'database/postgresql',
  'aurora-postgresql': 'database/postgresql',
  mysql: 'database/mysql',
  mariadb: 'database/mysql',
  'aurora-mysql': 'database/mysql',
};

const PORTS: Readonly<Record<number, Kind>> = { 5432: 'database/postgresql', 3306: 'database/mysql' };

/** The shape of a secret's text. Only the name of the login and where it leads are kept. */
export function shapeOf(text: Redacted<string>): Shape {
  let value: unknown;
  try {
    value = JSON.parse(text.reveal());
  } catch {
    return { kind: 'text' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'text' };
  const fields = new Map<string, unknown>(Object.entries(value));
  const words = (key: string): string | undefined => {
    const found = fields.get(key);
    return typeof found === 'string' && found !== '' ? found : undefined;
  };
  const port = Number(fields.get('port') ?? Number.NaN);
  return {
    kind: 'json',
    keys: [...fields.keys()],
    engine: words('engine')?.toLowerCase(),
    host: words('host'),
    port: Number.isInteger(port) ? port : undefined,
    database: words('dbname') ?? words('database'),
    username: fields.has('password') ? words('username') : undefined,
  };
}

/**
 * What to propose for a secret. `as` is what a person says that it is.
 * The entry is in mode observe, adopts what is there, and names those holders of whom everything is known: an empty set
 * proves nothing (design: modes), and what is guessed would prove too much.
 */
export function classify(secret: SecretFacts, as?: Kind): Finding {
  if (secret.registered) return { verdict: 'registered' };
  if (secret.owningService !== undefined) {
    const why = `the service ${secret.owningService} owns and rotates it; give agents a login of their own`;
    return { verdict: 'left-out', why };
  }
  if (secret.tags['rekey:admin'] !== undefined) {
    return { verdict: 'left-out', why: 'it is an administrative secret, which agents have no part in' };
  }
  const { shape } = secret;
  const fitting = as === undefined ? kindsOf(shape) : [as];
  const [kind, second] = fitting;
  if (kind === undefined) return nothingFits(shape);
  if (second !== undefined) {
    return {
      verdict: 'undecided',
      why: `its shape fits ${fitting.join(' and ')}`,
      remedy: `say what it is: --as ${secret.name}=${kind}`,
    };
  }
  if (!SUPPORTED.has(kind)) {
    return {
      verdict: 'left-out',
      why: `Rekey does not rotate ${kind} yet; it rotates ${[...SUPPORTED].join(', ')}`,
    };
  }
  return proposed(secret);
}

function kindsOf(shape: Shape): Kind[] {
  if (shape.kind !== 'json' || shape.username === undefined) return [];
  const { engine, port } = shape;
  const named = engine === undefined ? undefined : (ENGINES[engine] ?? (`database/${engine}` as const));
  if (named !== undefined) return [named];
  const usual = port === undefined ? undefined : PORTS[port];
  return usual === undefined ? ['database/postgresql', 'database/mysql'] : [usual];
}

function nothingFits(shape: Shape): Finding {
  if (shape.kind === 'unknown') {
    return {
      verdict: 'undecided',
      why: `its shape is not known: ${shape.why}`,
      remedy: 'say what it is with --as, and complete the entry by hand',
    };
  }
  const what = shape.kind === 'text' ? 'plain text' : `JSON with ${shape.keys.join(', ') || 'no keys'}`;
  return { verdict: 'left-out', why: `no credential that Rekey rotates yet looks like it (${what})` };
}

function proposed({ name, shape, rotationFunction, tags, lastAccessed, readers = [] }: SecretFacts): Finding {
  const known = shape.kind === 'json' ? shape : undefined;
  const target: Record<string, unknown> = {
    ...(known?.host === undefined ? {} : { host: known.host }),
    ...(known?.port === undefined || known.port === 5432 ? {} : { port: known.port }),
    ...(known?.database === undefined ? {} : { database: known.database }),
    ...(known?.username === undefined ? {} : { users: [known.username, secondOf(known.username)] }),
  };
  const missing = ['host', 'database', 'users'].filter((field) => target[field] === undefined);
  const proposals = readers.map(({ proposal }) => proposal).filter((one) => one !== undefined);
  const holders = proposals.filter(isComplete).flatMap(holderOf);
  const unfinished = proposals.filter((proposal) => !isComplete(proposal));
  const proxied = known?.host !== undefined && /\.proxy-[a-z0-9]+\./i.test(known.host);
  return {
    verdict: 'proposed',
    entry: {
      name: nameOf(name),
      type: 'database',
      provider: 'postgresql',
      secret: name,
      adopt: true,
      mode: 'observe',
      target,
      ...(holders.length === 0 ? {} : { holders }),
    },
    notes: [
      ...(missing.length === 0 ? [] : [`add target.${missing.join(', target.')}: the secret does not say`]),
      ...(proxied ? ['its host is an RDS Proxy: name the endpoint of the cluster instead'] : []),
      ...(rotationFunction === undefined
        ? []
        : [`${rotationFunction} rotates it now: cancel that before mode overlap or enforce`]),
      ...(lastAccessed === undefined ? ['Secrets Manager knows of nobody who has read it'] : []),
      ...('rekey:type' in tags ? [] : ['before mode overlap or enforce: tag the secret, declare admin']),
      ...unfinished.map((proposal) => `seen to read it; fill in, below holders: ${proposalText(proposal)}`),
      ...(proposals.length === 0 ? ['nobody is known to hold it: declare holders'] : []),
    ],
  };
}

/** Of a function nothing has to be known but its name: its proof then asks for the most. */
function holderOf({ kind, name = '', function: called, principal }: ProposedHolder): LambdaEntry[] {
  if (kind !== 'lambda' || called === undefined) return [];
  return [{ kind, name, function: called, ...(principal === undefined ? {} : { principal }) }];
}

/** A second login beside the one that exists, within PostgreSQL's 63 bytes. */
function secondOf(username: string): string {
  return `${Buffer.from(username).subarray(0, 61).toString().replace(/�+$/, '')}_b`;
}

/** A name for the entry from the secret's: what an entry allows of it. */
function nameOf(secret: string): string {
  const name = secret
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'secret' : name;
}

/** Entries with names of their own: a later one that would repeat a name gets a number. */
export function withOwnNames(
  entries: readonly CredentialEntry[],
  taken: ReadonlySet<string>,
): CredentialEntry[] {
  const used = new Set(taken);
  return entries.map((entry) => {
    let { name } = entry;
    for (let number = 2; used.has(name); number++) name = `${entry.name.slice(0, 58)}-${number}`;
    used.add(name);
    return { ...entry, name };
  });
}

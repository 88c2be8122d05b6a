import { createHash } from 'node:crypto';
import { CAPABILITIES, capabilitiesOf } from './capabilities.ts';
import type { CredentialEntry } from './declaration.ts';
import { formOf, keyFormOf } from './key-forms.ts';
import type { ListedKey } from './key-list.ts';
import { isComplete, proposalText, type ProposedHolder } from './readers.ts';
import { Redacted } from './redacted.ts';
import { isRoot } from './roots.ts';

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
      /** Of Google's key file: whose it is. */
      readonly account?: { readonly project: string; readonly serviceAccount: string } | undefined;
      /** Keys among its fields, by their forms (key-forms.ts). */
      readonly forms?: readonly KeyField[] | undefined;
    }
  | { readonly kind: 'text'; readonly form?: string | undefined }
  /** Not looked at, or not readable; `why` says what would change that. */
  | { readonly kind: 'unknown'; readonly why: string };

type JsonShape = Extract<Shape, { kind: 'json' }>;

/** A field whose value has the form of a key. */
export interface KeyField {
  readonly field: string;
  readonly form: string;
}

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
  /** Of a key that is in no secret yet. */
  readonly absent?: true;
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

/** What the target of a key needs beside a label: nothing of it stands in a key. */
const KEY_TARGETS: Readonly<Record<Kind, readonly string[]>> = {
  'llm-key/openai': ['project', 'serviceAccount'],
  'llm-key/anthropic': ['workspace'],
  'llm-key/mistral': ['workspace', 'user'],
  'llm-key/cohere': ['organization'],
  'vector-database-key/chroma-cloud': ['tenant', 'databases'],
  'oauth-client/client-secret': ['clientId', 'baseUrl'],
  'llm-key/google': ['project', 'serviceAccount'],
  'vector-database-key/pinecone': ['project', 'roles', 'keyId'],
  'vector-database-key/weaviate': ['baseUrl', 'roles'],
  'cloud-key/aws-iam': ['user'],
  'cloud-key/azure-app': ['tenantId', 'clientId', 'keyId'],
  'cloud-key/gcp-service-account': ['project', 'serviceAccount'],
  'llm-key/azure-openai': ['tenantId', 'subscription', 'resourceGroup', 'account', 'baseUrl', 'exclusive'],
};

function inPool(provider: string): string {
  return (
    'before mode overlap or enforce: it has to stand in the pool of the admin, as {"id": its name at the upstream, ' +
    `"value": …, "inUse": true} (docs/providers/${provider}.md)`
  );
}

/** What an existing key of an upstream needs besides. */
const KEY_NOTES: Readonly<Record<Kind, readonly string[]>> = {
  'llm-key/cohere': [
    'its organization: curl -X POST https://api.cohere.com/v1/check-api-key -H "authorization: Bearer $KEY"',
    inPool('cohere'),
  ],
  'vector-database-key/chroma-cloud': [inPool('chroma-cloud')],
  'oauth-client/client-secret': [inPool('client-secret')],
};

/** What Rekey can take over today; anything else is recognised and left out. */
const SUPPORTED: ReadonlySet<Kind> = new Set(['database/postgresql', ...Object.keys(KEY_TARGETS)] as Kind[]);

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
    return plain(text);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return plain(text);
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
    ...accountIn(words('type'), words('project_id'), words('client_email')),
    ...keysAmong(fields),
  };
}

function plain(text: Redacted<string>): Shape {
  const form = keyFormOf(text);
  return { kind: 'text', ...(form === undefined ? {} : { form }) };
}

function accountIn(type?: string, project?: string, serviceAccount?: string): Pick<JsonShape, 'account'> {
  if (type !== 'service_account' || project === undefined || serviceAccount === undefined) return {};
  return { account: { project, serviceAccount } };
}

function keysAmong(fields: ReadonlyMap<string, unknown>): { forms?: readonly KeyField[] } {
  const forms = [...fields].flatMap(([field, value]) => {
    const form = typeof value === 'string' ? keyFormOf(new Redacted(value)) : undefined;
    return form === undefined ? [] : [{ field, form }];
  });
  return forms.length === 0 ? {} : { forms };
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
    const why = 'it is an administrative secret: declare it under roots, not here (docs/roots.md)';
    return { verdict: 'left-out', why };
  }
  const { shape } = secret;
  const not = as === undefined ? keysOf(shape).flatMap(({ form }) => formOf(form)?.not ?? [])[0] : undefined;
  if (not !== undefined) return { verdict: 'left-out', why: not };
  const fitting = as === undefined ? kindsOf(shape) : [as];
  const [kind, second] = fitting;
  if (kind === undefined) return nothingFits(shape);
  if (second !== undefined) {
    return {
      verdict: 'undecided',
      why: `its shape fits ${inWords(fitting)}`,
      remedy: `say what it is: --as ${secret.name}=${kind}`,
    };
  }
  if (kind === 'cloud-key/aws-iam' && shape.kind === 'text') {
    return { verdict: 'left-out', why: 'it is the id of an access key alone, without its secret part' };
  }
  if (!SUPPORTED.has(kind)) return { verdict: 'left-out', why: unsupported(kind) };
  return kind in KEY_TARGETS ? proposedKey(secret, kind) : proposed(secret);
}

/** What Rekey has no provider for can't be said with --as. */
function inWords(fitting: readonly Kind[]): string {
  return fitting
    .map((kind) => (Object.hasOwn(CAPABILITIES, kind) ? kind : `${kind} (not Rekey's to rotate)`))
    .join(' and ');
}

function unsupported(kind: Kind): string {
  const [type = '', provider = ''] = kind.split('/');
  if (isRoot(type))
    return `it is a root: declare it under roots with provider ${provider}, not here (docs/roots.md)`;
  const why = `Rekey can not take over a secret of ${kind} yet, only of ${[...SUPPORTED].join(', ')}`;
  return capabilitiesOf(type, provider) === undefined
    ? why
    : `${why}; declare a new credential without adopt (docs/providers/${provider}.md), move its holders to that, end the old one`;
}

/** The keys that were seen in a value. */
function keysOf(shape: Shape): readonly { readonly form: string }[] {
  if (shape.kind === 'json') return shape.forms ?? [];
  return shape.kind === 'text' && shape.form !== undefined ? [{ form: shape.form }] : [];
}

function kindsOf(shape: Shape): Kind[] {
  const keys = keysOf(shape).flatMap(({ form }) => formOf(form)?.kinds ?? []);
  const [file] = shape.kind === 'json' && shape.account !== undefined ? keys : [];
  if (file === 'cloud-key/gcp-service-account') return [file];
  if (shape.kind !== 'json' || shape.username === undefined) return [...new Set(keys)];
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

function proposed(secret: SecretFacts): Finding {
  const known = secret.shape.kind === 'json' ? secret.shape : undefined;
  const target: Record<string, unknown> = {
    ...(known?.host === undefined ? {} : { host: known.host }),
    ...(known?.port === undefined || known.port === 5432 ? {} : { port: known.port }),
    ...(known?.database === undefined ? {} : { database: known.database }),
    ...(known?.username === undefined ? {} : { users: [known.username, secondOf(known.username)] }),
  };
  const missing = ['host', 'database', 'users'].filter((field) => target[field] === undefined);
  const proxied = known?.host !== undefined && /\.proxy-[a-z0-9]+\./i.test(known.host);
  return proposal(secret, 'database/postgresql', target, [
    ...lacking(missing),
    ...(proxied ? ['its host is an RDS Proxy: name the endpoint of the cluster instead'] : []),
  ]);
}

function proposedKey(secret: SecretFacts, kind: Kind): Finding {
  const { name, shape } = secret;
  const label = labelOf(nameOf(name));
  const account =
    shape.kind === 'json' && kind === 'cloud-key/gcp-service-account' ? shape.account : undefined;
  const needed = account === undefined ? (KEY_TARGETS[kind] ?? []) : [];
  const several = shape.kind === 'json' && (shape.forms?.length ?? 0) > 1;
  return proposal(secret, kind, kind === 'cloud-key/aws-iam' ? {} : { ...account, label }, [
    ...lacking(needed, secret.absent === true ? 'a key' : 'the secret'),
    ...(KEY_NOTES[kind] ?? []),
    ...(several ? ['it holds several keys: give each a secret of its own'] : []),
  ]);
}

function lacking(fields: readonly string[], who = 'the secret'): string[] {
  return fields.length === 0 ? [] : [`add target.${fields.join(', target.')}: ${who} does not say`];
}

/** An entry with the notes that all have. */
function proposal(
  { name, rotationFunction, tags, lastAccessed, readers = [] }: SecretFacts,
  kind: Kind,
  target: Record<string, unknown>,
  notes: readonly string[],
): Finding {
  const [type = '', provider = ''] = kind.split('/');
  const proposals = readers.map((reader) => reader.proposal).filter((one) => one !== undefined);
  const holders = proposals.filter(isComplete).flatMap(holderOf);
  const unfinished = proposals.filter((one) => !isComplete(one));
  return {
    verdict: 'proposed',
    entry: {
      name: nameOf(name),
      type,
      provider,
      secret: name,
      adopt: true,
      mode: 'observe',
      target,
      ...(holders.length === 0 ? {} : { holders }),
    },
    notes: [
      ...notes,
      ...(rotationFunction === undefined
        ? []
        : [`${rotationFunction} rotates it now: cancel that before mode overlap or enforce`]),
      ...(lastAccessed === undefined ? ['Secrets Manager knows of nobody who has read it'] : []),
      ...('rekey:type' in tags ? [] : [beforeTakeOver(kind)]),
      ...unfinished.map((one) => `seen to read it; fill in, below holders: ${proposalText(one)}`),
      ...(proposals.length === 0 ? ['nobody is known to hold it: declare holders'] : []),
    ],
  };
}

function beforeTakeOver(kind: Kind): string {
  const admin = kind === 'cloud-key/aws-iam' ? '' : ', declare admin';
  return `before mode overlap or enforce: tag the secret${admin}`;
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

/** At most 24 characters, and others for every name: a cut one ends with a part of the name's digest. */
function labelOf(name: string): string {
  if (name.length <= 24) return name;
  return `${name.slice(0, 17).replace(/-+$/, '')}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}

/** Credentials that are more than one text. */
const WHOLE_JSON: ReadonlySet<string> = new Set(['cloud-key/aws-iam', 'cloud-key/gcp-service-account']);

/** What to propose for a key that is in no secret yet: the entry of one that a person has yet to make. */
export function classifyKey({ name, form, line }: ListedKey, as?: Kind): Finding {
  const secret = `agents/${nameOf(name ?? `key of line ${line}`)}`;
  const shape: Shape =
    form === undefined
      ? { kind: 'unknown', why: 'nothing in it tells whose it is' }
      : { kind: 'json', keys: [], forms: [{ field: name ?? '', form }] };
  // Whether anybody reads it, no log of the vault can say.
  const facts = {
    name: secret,
    arn: '',
    tags: {},
    registered: false,
    lastAccessed: 'unknown',
    shape,
    absent: true,
  } as const;
  const finding = classify(facts, as);
  if (finding.verdict !== 'proposed') return finding;
  const { type, provider } = finding.entry;
  const held = WHOLE_JSON.has(`${type}/${provider}`)
    ? `the JSON that docs/providers/${provider}.md shows`
    : '{"apiKey": …}';
  const first =
    `put it into a secret named ${secret} first (or correct that name), from a file with ${held}: ` +
    `aws secretsmanager create-secret --name ${secret} --secret-string file://key.json`;
  return { ...finding, notes: [first, ...finding.notes] };
}

/** Entries with names of their own: a later one that would repeat a name gets a number, in its label as well. */
export function withOwnNames(
  entries: readonly CredentialEntry[],
  taken: ReadonlySet<string>,
): CredentialEntry[] {
  const used = new Set(taken);
  return entries.map((entry) => {
    let { name } = entry;
    for (let number = 2; used.has(name); number++) name = `${entry.name.slice(0, 58)}-${number}`;
    used.add(name);
    if (name === entry.name || entry.target['label'] === undefined) return { ...entry, name };
    return { ...entry, name, target: { ...entry.target, label: labelOf(name) } };
  });
}

import { readFile, rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Document, isMap, isSeq, parseDocument } from 'yaml';
import { inventoryAnswer, type InventoryAnswer } from '../../shared/api/messages.ts';
import { CAPABILITIES } from '../../shared/domain/capabilities.ts';
import { DECLARATION_VERSION } from '../../shared/domain/declaration-form.ts';
import { type CredentialEntry } from '../../shared/domain/declaration.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import {
  classify,
  classifyKey,
  withOwnNames,
  type Finding,
  type Kind,
} from '../../shared/domain/inventory.ts';
import { keysIn, linesOf } from '../../shared/domain/key-list.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { shownPath } from '../declaration-file.ts';
import { EXIT, Failure, Failures, usage } from '../failure.ts';
import type { Io } from '../io.ts';

interface ImportOptions {
  /** Only these secrets; any of them that can't be proposed is an error. None: all that the account has. */
  readonly secrets: readonly string[];
  readonly prefix?: string | undefined;
  /** `SECRET=TYPE/PROVIDER` each. */
  readonly as: readonly string[];
  /** A file of plain keys, or `-`: they are looked at instead of the account's secrets. */
  readonly keys?: string | undefined;
  /** Written or added to; undefined prints. */
  readonly output?: string | undefined;
}

type Secret = InventoryAnswer['secrets'][number];
interface Found {
  readonly secret: Pick<Secret, 'name'>;
  /** Of a key in no secret: what tells it from others without its value. */
  readonly fingerprint?: string;
  readonly finding: Finding;
}

/**
 * `rekey import`: proposes an entry in mode observe for each secret that Rekey could rotate. It registers nothing: that
 * is `rekey apply`'s, once a person has read the file.
 */
async function importSecrets(context: Context, options: ImportOptions): Promise<number> {
  const { out } = context;
  const kinds = new Map(options.as.map(kindOf));
  const { found, unread = [] } =
    options.keys === undefined
      ? { found: await ofSecrets(context, options, kinds) }
      : await ofKeys(context, options, options.keys, kinds);

  const file = options.output === undefined ? undefined : resolve(out.io.cwd, options.output);
  const document = await documentOf(file, options.output);
  const declared = declaredIn(document);
  const proposed = found.flatMap(({ finding }) => (finding.verdict === 'proposed' ? [finding] : []));
  const proposals = proposed.filter(({ entry }) => !declared.secrets.has(entry.secret));
  const entries = withOwnNames(
    proposals.map(({ entry }) => entry),
    declared.names,
  );
  entries.forEach((entry, index) => add(document, entry, proposals[index]?.notes ?? []));

  const named = options.keys === undefined ? 'secrets' : 'keys';
  out.data({
    entries,
    [named]: found.map(({ secret, ...rest }) => ({
      [named === 'keys' ? 'key' : 'secret']: secret.name,
      ...(rest.fingerprint === undefined ? {} : { fingerprint: rest.fingerprint }),
      ...rest.finding,
    })),
    ...(unread.length === 0 ? {} : { unread }),
  });
  const text = document.toString({ lineWidth: 0 });
  if (found.length === 0) {
    out.line(
      options.keys === undefined
        ? `no secret's name begins with "${options.prefix ?? ''}"`
        : 'nothing in it has the form of a key',
    );
  } else if (entries.length > 0) await (file === undefined ? out.line(text.trimEnd()) : replace(file, text));
  if (unread.length > 0) {
    const how =
      'a key is read where it stands alone, as NAME=KEY, in a JSON of one line, or as the only key of its line';
    out.note(`${linesOf(unread)} of ${options.keys ?? ''} left unread: ${how}`);
  }
  report(context, found, entries.length, file === undefined ? undefined : options.output);
  return EXIT.ok;
}

async function ofSecrets(
  context: Context,
  options: ImportOptions,
  kinds: ReadonlyMap<string, Kind>,
): Promise<Found[]> {
  const secrets = await list(context, options.prefix);
  assertKnown(secrets, [...options.secrets, ...kinds.keys()]);
  const wanted = options.secrets.length === 0 ? secrets : secrets.filter((one) => isNamed(one, options));
  const found = wanted.map((secret) => ({ secret, finding: classify(secret, kinds.get(secret.name)) }));
  if (options.secrets.length > 0) assertProposed(found);
  return found;
}

/** Plain keys, in this process alone: nothing of them is sent, stored or printed but form and fingerprint. */
async function ofKeys(
  { out }: Context,
  { secrets, prefix }: ImportOptions,
  source: string,
  kinds: ReadonlyMap<string, Kind>,
): Promise<{ found: Found[]; unread: readonly number[] }> {
  if (secrets.length > 0 || prefix !== undefined) {
    throw usage('--keys looks at no secret of the account', 'leave out the names and --prefix');
  }
  const { keys, others, unread } = keysIn(await textOf(out.io, source));
  const named = keys.map((key) => ({ ...key, called: key.name ?? `line ${key.line}` }));
  const unknown = [...kinds.keys()].filter((name) => !named.some(({ called }) => called === name));
  const another = unknown.find((name) => others.includes(name));
  if (another !== undefined) {
    throw usage(
      `${another} is in ${source}, but its value is not taken for a key: it has no form of one, and the name does not end with "key"`,
      'where it is one, give it such a name there, e.g. COHERE_API_KEY; else leave out this --as',
    );
  }
  if (unknown.length > 0) {
    throw usage(
      `${source} has no key called ${unknown.join(', ')}`,
      'a bare key is called by its line: "line 3"',
    );
  }
  const found = named.map((key): Found => ({
    secret: { name: key.called },
    // Only what has the form of a key is too long to be guessed by its fingerprint.
    ...(key.form === undefined ? {} : { fingerprint: fingerprint(key.value) }),
    finding: renamed(classifyKey(key, kinds.get(key.called)), key.called),
  }));
  return { found: found.map((one, index) => repeated(one, found.slice(0, index)) ?? one), unread };
}

/** One value is one credential, whatever its names are: the first of them is proposed. */
function repeated(one: Found, before: readonly Found[]): Found | undefined {
  const same = before.find((each) => one.fingerprint !== undefined && each.fingerprint === one.fingerprint);
  if (same === undefined || one.finding.verdict === 'left-out') return undefined;
  const why = `it has the value of ${same.secret.name}: one credential, and one secret, for both`;
  return { ...one, finding: { verdict: 'left-out', why } };
}

/** The remedy as it is typed here: by what the list calls the key. */
function renamed(finding: Finding, called: string): Finding {
  if (finding.verdict !== 'undecided') return finding;
  return { ...finding, remedy: `say what it is: --as "${called}=TYPE/PROVIDER"` };
}

/** What is to be read; nothing at all is hardly what was meant. */
async function textOf(io: Io, source: string): Promise<Redacted<string>> {
  const text = await (source === '-' ? inputOf(io) : fileOf(io, source));
  if (text.reveal().trim() !== '') return text;
  const from = source === '-' ? 'standard input' : source;
  throw usage(`${from} is empty: there is no key to look at`, 'give it one key a line, bare or NAME=KEY');
}

async function inputOf(io: Io): Promise<Redacted<string>> {
  if (!io.stdinIsTty) return io.input();
  throw usage('the keys are read from standard input, and that is a terminal', 'pipe them, or name a file');
}

const UNREADABLE: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  ENOENT: ['there is no such file', 'correct the path; it begins at the current directory'],
  EISDIR: ['it is a directory', 'name a file in it'],
  EACCES: ['you may not read it', 'run this as whoever may, or pipe the keys to --keys -'],
};

async function fileOf(io: Io, source: string): Promise<Redacted<string>> {
  try {
    return new Redacted(await readFile(resolve(io.cwd, source), 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const [why, remedy] = UNREADABLE[code] ?? [code, 'name another file, or pipe the keys to --keys -'];
    throw usage(`${source} can't be read: ${why}`, remedy);
  }
}

async function list(context: Context, prefix: string | undefined): Promise<Secret[]> {
  const { out } = context;
  const api = await context.client();
  const all: Secret[] = [];
  let page: string | undefined;
  do {
    const query = { prefix, page };
    const reading = api.get(inventoryAnswer, ['inventory'], { query, timeoutMs: LONG_TIMEOUT_MS });
    const answer: InventoryAnswer = await out.waiting(`listing secrets (${all.length} so far)`, reading);
    all.push(...answer.secrets);
    page = answer.next;
  } while (page !== undefined);
  return all;
}

function kindOf(given: string): [string, Kind] {
  const [, secret = '', kind = ''] = /^(.+)=([a-z0-9-]+\/[a-z0-9-]+)$/.exec(given) ?? [];
  if (Object.hasOwn(CAPABILITIES, kind)) return [secret, kind as Kind]; // every key of it has the slash
  if (secret !== '') {
    const all = Object.keys(CAPABILITIES).join(', ');
    throw usage(`--as ${given}: there is no such provider as ${kind}`, `use one of ${all}`);
  }
  throw usage(
    `--as ${given} is not SECRET=TYPE/PROVIDER`,
    'for example --as prod/orders=database/postgresql',
  );
}

function isNamed({ name, arn }: Secret, { secrets }: ImportOptions): boolean {
  return secrets.includes(name) || secrets.includes(arn);
}

function assertKnown(secrets: readonly Secret[], named: readonly string[]): void {
  const missing = named.filter((each) => !secrets.some(({ name, arn }) => name === each || arn === each));
  if (missing.length === 0) return;
  throw new Failure(
    'ERR_NOT_FOUND',
    `the deployment's account and region have no secret ${missing.join(', ')}`,
    {
      field: 'secret',
      remedy: 'correct the name; a secret of another region or account is imported by the deployment there',
    },
  );
}

/** Where secrets were named, all of them are proposed or none is. */
function assertProposed(found: readonly Found[]): void {
  const failures = found.flatMap(({ secret, finding }) => {
    if (finding.verdict === 'proposed') return [];
    const [why, remedy] =
      finding.verdict === 'registered'
        ? ['a credential has it already', '`rekey list` shows which']
        : [finding.why, finding.verdict === 'undecided' ? finding.remedy : undefined];
    return [new Failure('ERR_ADOPTION', `${secret.name}: ${why}`, { field: secret.name, remedy })];
  });
  if (failures.length > 0) throw new Failures(failures, 'nothing was written');
}

async function documentOf(file: string | undefined, shown: string | undefined): Promise<Document> {
  const empty = (): Document => new Document({ version: DECLARATION_VERSION, credentials: [] });
  if (file === undefined) return empty();
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return empty();
    throw usage(`${shown ?? file} can't be read`);
  }
  const document = parseDocument(text);
  if (document.errors.length === 0 && isSeq(document.get('credentials'))) return document;
  throw new Failure('ERR_DECLARATION', `${shown ?? file} is no declaration file`, {
    field: 'credentials',
    remedy: 'correct it, or name another file; nothing was written',
  });
}

function declaredIn(document: Document): { secrets: Set<string>; names: Set<string> } {
  const credentials = document.get('credentials');
  const entries = isSeq(credentials) ? credentials.items.filter((item) => isMap(item)) : [];
  const each = (key: string): Set<string> => new Set(entries.map((entry) => String(entry.get(key))));
  return { secrets: each('secret'), names: each('name') };
}

/** Adds an entry at the end, its notes as comments above it; what the file has stays as it was written. */
function add(document: Document, entry: CredentialEntry, notes: readonly string[]): void {
  const node = document.createNode(entry);
  node.commentBefore = notes.map((note) => ` ${note}`).join('\n');
  document.addIn(['credentials'], node);
}

/** All of the new file or all of the old one, whatever happens in between. */
async function replace(file: string, text: string): Promise<void> {
  const beside = `${file}.${process.pid}.new`;
  await writeFile(beside, text);
  await rename(beside, file);
}

function report({ out }: Context, found: readonly Found[], added: number, output: string | undefined): void {
  const of = (verdict: Finding['verdict']) => found.filter(({ finding }) => finding.verdict === verdict);
  for (const { secret, finding } of of('undecided')) {
    if (finding.verdict !== 'undecided') continue;
    out.note(`? ${secret.name}: ${finding.why}; ${finding.remedy}`);
  }
  for (const { secret, finding } of of('left-out')) {
    if (finding.verdict === 'left-out') out.note(`- ${secret.name}: ${finding.why}`);
  }
  const there = of('proposed').length - added;
  out.note(
    [
      `${added} proposed`,
      ...(there === 0 ? [] : [`${there} in the file already`]),
      `${of('registered').length} registered already`,
      `${of('undecided').length} undecided`,
      `${of('left-out').length} left out`,
    ].join(', '),
  );
  if (added === 0) return;
  const file = output === undefined ? 'a file' : shownPath(out.io.cwd, output);
  out.note(
    output === undefined
      ? 'Nothing was registered. `rekey import -o rekey.yaml` writes this to a file.'
      : `Nothing was registered. Read ${file}, then: rekey apply -f ${file} --dry-run`,
  );
}

/** `rekey import` on the command line. */
export const addImport: AddCommand = (program, run) => {
  program
    .command('import')
    .summary('propose entries for secrets that exist')
    .description(
      'Looks through the secrets of the account and proposes an entry for each that Rekey could rotate: adopted, in ' +
        'mode observe, which changes nothing. Nothing is registered by it. With secrets named: all of them or an error.',
    )
    .argument('[secrets...]', 'names or ARNs; default: all that the account has')
    .option('--prefix <text>', 'only secrets whose names begin with it')
    .option(
      '--as <secret=kind>',
      'what a secret is where its shape does not tell, e.g. prod/orders=database/postgresql',
      (one: string, before: readonly string[]) => [...before, one],
      [] as readonly string[],
    )
    .option(
      '--keys <file>',
      'plain keys, one a line or NAME=KEY, instead of the account; - is standard input',
    )
    .option('-o, --output <file>', 'write the entries to this file, or add them to it; default: print them')
    .addHelpText(
      'after',
      examples(
        'rekey import',
        'rekey import --prefix prod/ -o rekey.yaml',
        'rekey import prod/orders-db',
        'rekey import --keys .env -o rekey.yaml',
      ),
    )
    .action(
      async (
        secrets: string[],
        given: { prefix?: string; as: readonly string[]; keys?: string; output?: string },
        command: Command,
      ) => {
        await run(command, (context) => importSecrets(context, { secrets, ...given }));
      },
    );
};

import { readFile, rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Document, isMap, isSeq, parseDocument } from 'yaml';
import { inventoryAnswer, type InventoryAnswer } from '../../shared/api/messages.ts';
import { DECLARATION_VERSION, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { classify, withOwnNames, type Finding, type Kind } from '../../shared/domain/inventory.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { shownPath } from '../declaration-file.ts';
import { EXIT, Failure, Failures, usage } from '../failure.ts';

interface ImportOptions {
  /** Only these secrets; any of them that can't be proposed is an error. None: all that the account has. */
  readonly secrets: readonly string[];
  readonly prefix?: string | undefined;
  /** `SECRET=TYPE/PROVIDER` each. */
  readonly as: readonly string[];
  /** Written or added to; undefined prints. */
  readonly output?: string | undefined;
}

type Secret = InventoryAnswer['secrets'][number];
interface Found {
  readonly secret: Secret;
  readonly finding: Finding;
}

/**
 * `rekey import`: proposes an entry in mode observe for each secret that Rekey could rotate. It registers nothing: that
 * is `rekey apply`'s, once a person has read the file.
 */
async function importSecrets(context: Context, options: ImportOptions): Promise<number> {
  const { out } = context;
  const kinds = new Map(options.as.map(kindOf));
  const secrets = await list(context, options.prefix);
  assertKnown(secrets, [...options.secrets, ...kinds.keys()]);
  const wanted = options.secrets.length === 0 ? secrets : secrets.filter((one) => isNamed(one, options));
  const found = wanted.map((secret) => ({ secret, finding: classify(secret, kinds.get(secret.name)) }));
  if (options.secrets.length > 0) assertProposed(found);

  const file = options.output === undefined ? undefined : resolve(out.io.cwd, options.output);
  const document = await documentOf(file, options.output);
  const declared = declaredIn(document);
  const fresh = found.filter(({ secret }) => !declared.secrets.has(secret.name));
  const proposals = fresh.flatMap(({ finding }) => (finding.verdict === 'proposed' ? [finding] : []));
  const entries = withOwnNames(
    proposals.map(({ entry }) => entry),
    declared.names,
  );
  entries.forEach((entry, index) => add(document, entry, proposals[index]?.notes ?? []));

  out.data({ entries, secrets: found.map(({ secret, finding }) => ({ secret: secret.name, ...finding })) });
  const text = document.toString({ lineWidth: 0 });
  if (secrets.length === 0) out.line(`no secret's name begins with "${options.prefix ?? ''}"`);
  else if (entries.length > 0) await (file === undefined ? out.line(text.trimEnd()) : replace(file, text));
  report(context, found, entries.length, file === undefined ? undefined : options.output);
  return EXIT.ok;
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
  if (secret !== '') return [secret, kind as Kind]; // the pattern has the slash
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
    .option('-o, --output <file>', 'write the entries to this file, or add them to it; default: print them')
    .addHelpText(
      'after',
      examples('rekey import', 'rekey import --prefix prod/ -o rekey.yaml', 'rekey import prod/orders-db'),
    )
    .action(
      async (
        secrets: string[],
        given: { prefix?: string; as: readonly string[]; output?: string },
        command: Command,
      ) => {
        await run(command, (context) => importSecrets(context, { secrets, ...given }));
      },
    );
};

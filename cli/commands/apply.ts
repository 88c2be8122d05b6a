import { Option, type Command } from 'commander';
import {
  familyApplied,
  registerAnswer,
  type Change,
  type FamilyApplied,
  type RegisterAnswer,
} from '../../shared/api/messages.ts';
import { keylessOf, keylessText, type Keyless } from '../../shared/domain/coverage.ts';
import type { CredentialEntry, FamilyEntry } from '../../shared/domain/declaration.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { readDeclaration } from '../declaration-file.ts';
import { allOf, EXIT, Failure, Failures } from '../failure.ts';
import type { Output } from '../io.ts';
import { readOutputs } from '../outputs-file.ts';

interface Applied {
  readonly name: string;
  readonly answer?: RegisterAnswer | FamilyApplied;
  readonly keyless?: Keyless | undefined;
  readonly failures?: readonly Failure[];
}

/** `rekey apply`: registers or updates what a declaration file says, or what stacks have emitted, entry by entry. */
async function apply(
  context: Context,
  options: { file: string; outputs?: string | undefined; dryRun: boolean },
): Promise<number> {
  const { out } = context;
  const { cwd } = out.io;
  const file =
    options.outputs === undefined
      ? await readDeclaration(options.file, cwd, out.io.now())
      : await readOutputs(options.outputs, cwd, out.io.now());
  const client = await context.client();
  const applied: Applied[] = [];
  // Roots first: what is administered by one may be refused for what is wrong with it.
  const entries = [
    ...(['roots', 'credentials'] as const).flatMap((list) =>
      file[list].map((declaration, index) => ({
        name: declaration.name,
        at: `${list}[${index}]`,
        work: () => applyCredential(context, client, declaration, options.dryRun),
      })),
    ),
    ...file.families.map((declaration, index) => ({
      name: declaration.name,
      at: `families[${index}]`,
      work: () => applyFamily(context, client, declaration, options.dryRun),
    })),
  ];
  for (const { name, at, work } of entries) {
    try {
      applied.push({ name, ...(await work()) });
    } catch (error) {
      // Who can't be asked says nothing about an entry.
      const failures = allOf(error).map((failure) =>
        isSilence(failure) && failure.field === undefined ? failure : file.located(inFile(failure, at)),
      );
      applied.push({ name, failures });
      out.line(`${out.style('red', '!')} ${name}: refused, see below`);
      // The next entry would only meet the same silence.
      if (failures.some(isSilence)) break;
    }
  }
  return conclude(out, applied, entries.length, options.dryRun);
}

async function applyCredential(
  { out }: Context,
  client: ApiClient,
  declaration: CredentialEntry,
  dryRun: boolean,
): Promise<Pick<Applied, 'answer' | 'keyless'>> {
  const { name, type, provider } = declaration;
  const work = client.post(registerAnswer, ['credentials'], {
    body: { declaration, dryRun },
    timeoutMs: LONG_TIMEOUT_MS,
  });
  const answer = await out.waiting(dryRun ? `checking ${name}` : `applying ${name}`, work);
  const keyless = keylessOf(type, provider);
  render(out, declaration, answer);
  if (keyless !== undefined && answer.outcome !== 'unchanged') out.line(`    It ${keylessText(keyless)}`);
  for (const { message, remedy } of answer.notices)
    out.line(`    ${out.style('yellow', `! ${message}: ${remedy}`)}`);
  return { answer, keyless };
}

async function applyFamily(
  { out }: Context,
  client: ApiClient,
  declaration: FamilyEntry,
  dryRun: boolean,
): Promise<Pick<Applied, 'answer'>> {
  const { name, grant } = declaration;
  const work = client.post(familyApplied, ['families'], {
    body: { declaration, dryRun },
    timeoutMs: LONG_TIMEOUT_MS,
  });
  const answer = await out.waiting(dryRun ? `checking ${name}` : `applying ${name}`, work);
  if (answer.outcome !== 'registered') renderChange(out, name, answer);
  else {
    out.line(`${out.style('green', '+')} ${name}: ${dryRun ? 'would be registered' : 'registered'}`);
    out.line(
      grant === 'client_credentials'
        ? '    Agents have its first access token within a minute or two.'
        : `    Somebody consents next: rekey connect ${name}`,
    );
  }
  return { answer };
}

function conclude(out: Output, applied: readonly Applied[], total: number, dryRun: boolean): number {
  out.data({
    dryRun,
    credentials: applied.map(({ name, answer, keyless, failures = [] }) => {
      const [error, ...also] = failures.map((failure) => failure.toJSON());
      if (error === undefined) return { name, ...answer, ...(keyless && { keyless }) };
      return { name, outcome: 'failed', error, ...(also.length === 0 ? {} : { errors: [error, ...also] }) };
    }),
  });
  const count = (outcome: string): number =>
    applied.filter(({ answer }) => answer?.outcome === outcome).length;
  const failed = applied.filter(({ failures }) => failures !== undefined);
  const failures = failed.flatMap((one) => one.failures ?? []);
  const [made, changed, same] = dryRun
    ? ['to register', 'to update', 'unchanged']
    : ['registered', 'updated', 'unchanged'];
  const summary = [
    `${count('registered')} ${made}`,
    `${count('updated')} ${changed}`,
    `${count('unchanged')} ${same}`,
    ...(failed.length === 0 ? [] : [`${failed.length} failed`]),
    ...(applied.length === total ? [] : [`${total - applied.length} not tried`]),
  ];
  out.line(summary.join(', '));
  if (dryRun && failures.length === 0) out.line('Nothing was changed. Run it without --dry-run to apply.');
  if (failures.length > 0) {
    const rest = 'what is listed as done is done; correct the rest and apply again';
    throw new Failures(failures, dryRun ? 'nothing was changed' : rest);
  }
  return EXIT.ok;
}

function isSilence({ exit, code }: Failure): boolean {
  return exit === EXIT.unreachable || code === 'ERR_FORBIDDEN';
}

/** The same failure with its field, which the API names relative to the entry, as a path of the file. */
function inFile(failure: Failure, entry: string): Failure {
  const { code, message, field, remedy, exit } = failure;
  return new Failure(code, message, {
    field: field === undefined ? entry : `${entry}.${field}`,
    remedy,
    exit,
    cause: failure,
  });
}

function render(out: Output, entry: CredentialEntry, answer: RegisterAnswer): void {
  const { name, secret, mode, adopt, root } = entry;
  const { outcome, dryRun, changes } = answer;
  if (outcome === 'registered') {
    out.line(`${out.style('green', '+')} ${name}: ${dryRun ? 'would be registered' : 'registered'}`);
    if (dryRun)
      for (const change of changes) out.line(`    ${out.style('green', `+ ${changeText(change)}`)}`);
    out.line(
      adopt === true
        ? `    The secret "${secret}" and the login in it stay as they are.`
        : `    ${dryRun ? 'This makes' : 'Made'} a first credential at the target and the secret "${secret}", which agents read from now on.`,
    );
    out.line(
      `    ${root !== undefined && mode === 'observe' ? 'Its owner replaces it by hand, and is told when it comes due (rekey roots).' : mode === 'observe' || (adopt === true && mode === undefined) ? 'Mode observe: it is not rotated.' : 'Rotation is scheduled; registering rotates nothing.'}`,
    );
    return;
  }
  renderChange(out, name, answer);
}

function renderChange(
  out: Output,
  name: string,
  { outcome, dryRun, changes }: Pick<RegisterAnswer, 'outcome' | 'dryRun' | 'changes'>,
): void {
  if (outcome === 'unchanged') {
    out.line(`${out.style('dim', '=')} ${name}: unchanged`);
    return;
  }
  out.line(`${out.style('yellow', '~')} ${name}: ${dryRun ? 'would be updated' : outcome}`);
  for (const change of changes) out.line(`    ${out.style('yellow', `~ ${changeText(change)}`)}`);
  if (!dryRun) out.line('    Recorded in the audit trail; this by itself rotates nothing.');
}

function changeText({ field, from, to }: Change): string {
  if (from === null || from === undefined) return `${field}: ${valueText(to)}`;
  return `${field}: ${valueText(from)} → ${to === null || to === undefined ? '(removed)' : valueText(to)}`;
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const [first = ''] = text.split('\n');
  return first === text && text.length <= 80 ? text : `${first.slice(0, 60)}…`;
}

/** `rekey apply` on the command line. */
export const addApply: AddCommand = (program, run) => {
  program
    .command('apply')
    .summary('register or update what a declaration file says')
    .description(
      'Registers or updates the credentials of a declaration file. The whole file is checked first; then each ' +
        'entry is applied by itself. Nothing rotates by it, and what the file no longer names is left alone.',
    )
    .option('-f, --file <file>', 'declaration file', 'rekey.yaml')
    .addOption(
      new Option(
        '--outputs <file>',
        'what RekeyCredential constructs have emitted: a file of cdk deploy --outputs-file',
      ).conflicts('file'),
    )
    .option('--dry-run', 'show what would change, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey apply --dry-run',
        'rekey apply -f credentials/rekey.yaml',
        'rekey apply --outputs outputs.json',
      ),
    )
    .action(async (given: { file: string; outputs?: string; dryRun?: true }, command: Command) => {
      const { file, outputs, dryRun = false } = given;
      await run(command, (context) => apply(context, { file, outputs, dryRun }));
    });
};

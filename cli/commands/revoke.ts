import type { Command } from 'commander';
import { emergencyRequest, type FamilyView, type ShowAnswer } from '../../shared/api/messages.ts';
import { requestError } from '../../shared/api/problems.ts';
import type { ApiClient } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { beginEmergency, type Follow, type What } from '../begin-emergency.ts';
import type { RevokeOptions } from '../emergency.ts';
import { allOf, EXIT, Failure, failureOf, partly, usage } from '../failure.ts';
import { familiesAmong, isUnknown, revokeFamilies } from '../families.ts';
import type { Output } from '../io.ts';
import { describeRevocation, revocationPlan } from '../revocation.ts';
import { authorityAmong, revokeCertificate } from './revoke-certificate.ts';
import { revokeSelected, selectionOf, type SelectionFlags } from '../selection.ts';
import { rotateSelected } from '../staged.ts';
import { checkedLeak, LEAKED_HELP, revokeLeaked } from './revoke-leaked.ts';
import { readCredential } from './show.ts';
import { inWords } from '../../shared/domain/wording.ts';

/**
 * `rekey revoke NAME…`: the emergency. With --yes the first request is the revocation itself. What the API doesn't know as a
 * credential may be a token family: then the credentials are revoked with a request of their own, and each family with one.
 */
async function revokeAny(
  context: Context,
  names: readonly string[],
  options: RevokeOptions,
): Promise<number> {
  try {
    const follow = await begin(context, names, options);
    return await follow();
  } catch (error) {
    if (!isUnknown(error)) throw error;
    const client = await context.client();
    const families = await context.out.waiting('reading', familiesAmong(client, names));
    if (families.length === 0) throw error;
    const rest = names.filter((name) => !families.some((family) => family.name === name));
    return revokeBoth(context, rest, families, options);
  }
}

/** None waits for the end of another, and one that fails keeps none from its turn. @throws Failures with all that failed */
async function revokeBoth(
  context: Context,
  names: readonly string[],
  families: readonly FamilyView[],
  options: RevokeOptions,
): Promise<number> {
  const failures: Failure[] = [];
  const collect = (error: unknown): number => {
    const failure = failureOf(error);
    if (failure.code === 'ERR_CANCELLED' || failure.code === 'ERR_USAGE') throw failure;
    failures.push(...allOf(error));
    return failure.exit;
  };
  let follow: Follow = async () => Promise.resolve(EXIT.ok);
  if (names.length > 0) {
    try {
      follow = await begin(context, names, options);
    } catch (error) {
      collect(error);
    }
  }
  const client = await context.client();
  const ended = await revokeFamilies(context, client, families, options).catch(collect);
  const followed = await follow().catch(collect);
  if (failures.length > 0) throw partly(failures, ended, followed);
  return Math.max(ended, followed);
}

async function begin(context: Context, names: readonly string[], options: RevokeOptions): Promise<Follow> {
  const { out } = context;
  const client = await context.client();
  if (options.dryRun) {
    const exit = await preview(out, client, names, options);
    return async () => Promise.resolve(exit);
  }
  if (!options.yes) await confirm(out, client, names, options);
  return beginEmergency(context, { credentials: names }, options);
}

async function preview(
  out: Output,
  client: ApiClient,
  names: readonly string[],
  options: RevokeOptions,
): Promise<number> {
  const answers = await out.waiting('reading', readAll(client, names));
  const missing = answers.find((one) => one instanceof Failure && isUnknown(one));
  if (missing !== undefined && (await familiesAmong(client, names)).length > 0) throw missing;
  const unknown = names.filter((_name, index) => answers[index] instanceof Failure);
  const found = answers.filter((one): one is ShowAnswer => !(one instanceof Failure));
  const plans = found.map((one) => revocationPlan(one, options));
  out.data({
    dryRun: true,
    incident: options.incident,
    credentials: found.map(({ credential }) => credential),
    unknown,
    plans,
    steps: [...new Set(plans.flatMap(({ steps }) => steps))],
  });
  describe(out, found, options);
  const failure = answers.find((one) => one instanceof Failure);
  if (failure !== undefined) throw failure;
  out.line('Nothing was changed.');
  return EXIT.ok;
}

function describe(out: Output, answers: readonly ShowAnswer[], options: RevokeOptions): void {
  out.line('This is an emergency revocation.');
  for (const answer of answers) describeRevocation(out, answer, options);
}

async function confirm(
  out: Output,
  client: ApiClient,
  names: readonly string[],
  options: RevokeOptions,
): Promise<void> {
  if (!out.io.stdinIsTty || out.json) {
    throw usage('an emergency revocation needs confirmation, and nobody can be asked here', 'add --yes');
  }
  const answers = await out.waiting('reading', readAll(client, names));
  const [unknown] = answers.filter((one) => one instanceof Failure && isUnknown(one));
  if (unknown !== undefined) throw unknown;
  const found = answers.filter((one): one is ShowAnswer => !(one instanceof Failure));
  describe(out, found, options);
  for (const one of answers) if (one instanceof Failure) out.line(out.style('yellow', one.message));
  const answer = await out.io.ask(`Revoke ${names.join(', ')} now? Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', 'cancelled; nothing was revoked');
}

/** Each credential, or why it can't be shown: what can't be read can be revoked all the same. */
function readAll(client: ApiClient, names: readonly string[]): Promise<(ShowAnswer | Failure)[]> {
  return Promise.all(
    names.map((name) => readCredential(client, name).catch((error: unknown) => failureOf(error))),
  );
}

/** `rekey revoke` on the command line. */
export const addRevoke: AddCommand = (program, run) => {
  program
    .command('revoke')
    .summary('EMERGENCY: revoke credentials at once')
    .description(
      'Emergency revocation. Every working credential is revoked at its target at once, open sessions are ended, ' +
        'agents are told to halt; then a new credential is made, tested and stored, and agents may resume. ' +
        'Unlike `rotate` it breaks what is running. Ids work even while the ledger is down. With --known-by it is no ' +
        'emergency unless --emergency is given: each value that the person knows is rotated, while agents work on.',
    )
    .argument('[names...]', 'names or ids of the credentials, names of token families')
    .option('--agent <name>', 'what an agent holds')
    .option('--closure', 'with --agent: all that it could read or mint, its sub-agents included')
    .option('--fleet <name>', 'what the agents of a fleet hold')
    .option('--provider <name>', 'all of one provider, e.g. openai')
    .option('--everything', 'all that Rekey manages')
    .option(
      '--known-by <person>',
      'what a person has seen; staged rotations, no emergency',
      filled('--known-by'),
    )
    .option('--emergency', 'with --known-by: revoke at once')
    .option('--leaked <->', 'revoke what a value opens, which is read from standard input', dash)
    .option('--certificate <serial>', 'revoke this certificate of a certificate authority, and nothing else')
    .requiredOption('--incident <id>', 'id of the incident or ticket; stands in the audit trail')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--yes', 'do not ask; the first request is the revocation')
    .option('--no-replace', 'revoke only; agents stay halted')
    .option('--wait', 'wait for its end')
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText('after', LEAKED_HELP)
    .addHelpText(
      'after',
      examples(
        'rekey revoke orders-db --incident INC-1234 --reason "key found in a public repository"',
        'rekey revoke orders-db billing-db --incident INC-1234 --reason "stolen laptop" --yes --wait',
        'rekey revoke shop-ca --certificate 5f0c…9a --incident INC-1234 --reason "stolen host"',
        'rekey revoke --agent order-agent --closure --incident INC-1234 --reason "prompt injection" --dry-run',
        'rekey revoke --known-by ada@example.com --incident HR-77 --reason "ada leaves" --dry-run',
        'pbpaste | rekey revoke --leaked - --incident INC-1234 --reason "seen in a chat" --yes',
      ),
    )
    .action(async (names: string[], given: Given, command: Command) => {
      const flags = { yes: given.yes ?? false, wait: given.wait ?? false, dryRun: given.dryRun ?? false };
      const options = { ...given, ...flags };
      await run(command, (context) => {
        if (given.certificate !== undefined) {
          if (given.leaked !== undefined || selectionOf(given) !== undefined)
            throw usage('--certificate names one certificate: neither --leaked nor a selection goes with it');
          return revokeCertificate(context, authorityAmong(names, options), given.certificate, options);
        }
        const selection = selectionOf(given);
        assertEither(names, given, selection !== undefined);
        assertEmergency(given);
        if (selection !== undefined && isStaged(given)) {
          const { incident, reason, wait, dryRun } = checkedRevoke({ select: selection }, options);
          return rotateSelected(context, selection, { incident, reason, wait, dryRun });
        }
        if (selection !== undefined)
          return revokeSelected(context, selection, checkedRevoke({ select: selection }, options));
        return given.leaked === undefined
          ? revokeAny(context, [...new Set(names)], checkedRevoke({ credentials: names }, options))
          : revokeLeaked(context, checkedLeak(options));
      });
    });
};

/** What a person knows is rotated, unless an emergency is wanted. */
function isStaged({ knownBy, emergency }: Given): boolean {
  return knownBy !== undefined && emergency === undefined;
}

function assertEmergency(given: Given): void {
  if (given.emergency === true && given.knownBy === undefined) {
    throw usage(
      '--emergency goes with --known-by',
      'leave it out: everything else that is revoked is an emergency',
    );
  }
  if (isStaged(given) && !given.replace) {
    throw usage('--no-replace has no meaning here: each value is replaced by a rotation', 'add --emergency');
  }
}

interface Given extends SelectionFlags {
  readonly incident: string;
  readonly reason: string;
  readonly leaked?: '-';
  readonly certificate?: string;
  readonly emergency?: true;
  readonly yes?: true;
  readonly replace: boolean;
  readonly wait?: true;
  readonly dryRun?: true;
}

/** Whatever stands on a command line is in the shell's history and in lists of processes: it is not said again. */
function dash(text: string): '-' {
  if (text === '-') return text;
  throw usage(
    'a leaked value is never taken from the command line',
    'pipe it: … | rekey revoke --leaked - …; what you have just typed is in the history of your shell',
  );
}

function assertEither(names: readonly string[], { leaked }: Given, selects: boolean): void {
  if (selects && (names.length > 0 || leaked !== undefined)) {
    throw usage('a selection finds the credentials by itself: name none, and no leaked value, beside it');
  }
  if (leaked === undefined && names.length === 0 && !selects) {
    throw usage(
      'no credential was named',
      'name one or more, select them (--agent, --fleet, --provider, --everything, --known-by), or pipe a value that was found into --leaked -',
    );
  }
  if (leaked !== undefined && names.length > 0) {
    throw usage('--leaked finds the credential by itself: name none beside it');
  }
}

function checkedRevoke(what: What, options: RevokeOptions): RevokeOptions {
  const { incident, reason, replace } = options;
  const parsed = emergencyRequest.safeParse({ ...what, incident, reason, replace }, { error: inWords });
  if (parsed.success) return options;
  const { message, field } = requestError(parsed.error);
  throw new Failure('ERR_USAGE', message, { exit: EXIT.usage, field });
}

import { Command, CommanderError, Option } from 'commander';
import { day, emergencyRequest } from '../shared/api/messages.ts';
import { requestError } from '../shared/api/problems.ts';
import { REKEY_VERSION } from '../shared/version.ts';
import { AwsContext, checkedUrl } from './aws.ts';
import { ApiClient } from './client.ts';
import { apply } from './commands/apply.ts';
import { audit } from './commands/audit.ts';
import { importSecrets } from './commands/import.ts';
import { plan } from './commands/plan.ts';
import { revoke, type RevokeOptions } from './commands/revoke.ts';
import { rollback, rotate } from './commands/rotate.ts';
import { confirm } from './commands/confirm.ts';
import { list, show } from './commands/show.ts';
import type { Context } from './context.ts';
import { EXIT, Failure, failureOf, usage } from './failure.ts';
import { Output, type Io } from './io.ts';

interface Globals {
  readonly json?: boolean;
  readonly profile?: string;
  readonly region?: string;
  readonly endpointUrl?: string;
  readonly apiUrl?: string;
  readonly stage: string;
}

export interface RunOptions {
  /** Between two looks at something that is watched, in milliseconds. */
  readonly pollMs?: number;
  readonly pause?: (ms: number) => Promise<unknown>;
}

const AFTER = `
Exit codes:
  0  done
  1  refused by Rekey, or failed
  2  wrong usage
  3  audit: the chain of records has faults
  4  watched or waited for, and it was aborted, rolled back or preempted, or it needs a person
  5  the API or AWS did not answer; what was asked for may have begun

Where it goes and as whom:
  The address of the API is --api-url, else REKEY_API_URL, else the output ApiUrl of the stack
  rekey-<stage>-api. Requests are signed with your AWS credentials; the audit trail names their ARN.
  AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and the shared configuration files
  count as for the AWS CLI. NO_COLOR turns colours off; REKEY_DEBUG=1 shows where an error came from.

Examples:
  $ rekey apply --dry-run
  $ rekey rotate orders-db --reason "a colleague left" --wait
  $ rekey revoke orders-db --incident INC-1234 --reason "key found in a public repository"
  $ rekey audit --from 2026-01-01 --json > rotations.json
`;

/** Runs one command line; the answer is the exit code. Never throws. */
export async function run(argv: readonly string[], io: Io, options: RunOptions = {}): Promise<number> {
  const json = argv.includes('--json');
  let exit: number = EXIT.ok;
  let complaint = '';
  const program = build(io, options, {
    complain: (text) => {
      complaint += text;
    },
    done: (code) => {
      exit = code;
    },
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (error) {
    const out = new Output(io, json);
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      const message = error.message.replace(/^error: /, '');
      if (json) out.error(usage(error.code === 'commander.help' ? 'no command was given' : message));
      else io.stderr(complaint);
      return EXIT.usage;
    }
    const failure = failureOf(error);
    out.error(failure);
    if (io.env['REKEY_DEBUG'] === '1') io.stderr(`${debug(failure)}\n`);
    return failure.exit;
  }
}

function debug(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const cause = error.cause === undefined ? '' : `\ncaused by ${debug(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function build(
  io: Io,
  options: RunOptions,
  { complain, done }: { complain: (text: string) => void; done: (exit: number) => void },
): Command {
  const program = new Command('rekey')
    .description('Rotates the credentials of a fleet of agents without breaking a running one.')
    .version(REKEY_VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout(text),
      writeErr: complain,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('(add --help for what is possible)')
    .configureHelp({ showGlobalOptions: true })
    .option('--json', 'machine-readable output on stdout, errors as JSON on stderr')
    .option('--profile <name>', 'AWS profile, as for the AWS CLI')
    .option('--region <name>', 'AWS region of the deployment')
    .option('--endpoint-url <url>', 'address of AWS services, e.g. of a local stack')
    .option('--api-url <url>', 'address of the control API (or REKEY_API_URL)')
    .addOption(
      new Option('--stage <name>', 'stage whose stack holds the address of the API')
        .env('REKEY_STAGE')
        .default('dev'),
    )
    .addHelpText('after', AFTER);

  const context = (command: Command): Context => {
    const globals = command.optsWithGlobals<Globals>();
    const out = new Output(io, globals.json ?? false);
    const aws = new AwsContext(globals, io.env);
    let client: Promise<ApiClient> | undefined;
    return {
      out,
      aws,
      pollMs: options.pollMs ?? 2000,
      client: () => (client ??= connect(out, aws, globals, io, options)),
    };
  };

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
      done(await apply(context(command), { file, outputs, dryRun }));
    });

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
        done(await importSecrets(context(command), { secrets, ...given }));
      },
    );

  program
    .command('list')
    .summary('list the registered credentials')
    .description(
      'Lists the registered credentials with their age, their next rotation and what is under way.',
    )
    .addHelpText('after', examples('rekey list', 'rekey list --json | jq -r ".credentials[].name"'))
    .action(async (_given: object, command: Command) => {
      done(await list(context(command)));
    });

  program
    .command('plan')
    .summary('what rotates when, and why')
    .description(
      'Lists the credentials by the start of their next rotation, with the deadline of the policy, what set the ' +
        'interval, and what stands out: exceptions, sharing, missed deadlines. What is not planned says why.',
    )
    .option('--within <duration>', 'only what starts, or is due unplanned, within it, e.g. 30d')
    .addHelpText('after', examples('rekey plan', 'rekey plan --within 7d'))
    .action(async (given: { within?: string }, command: Command) => {
      done(await plan(context(command), given));
    });

  program
    .command('show')
    .summary('show a credential, or follow its rotation')
    .description(
      'Shows a credential with its policy, holders and rotations, or one of its rotations. ' +
        'With --watch: follows the rotation under way until it is over; exit code 4 where it did not end well.',
    )
    .argument('<name>', 'name or id of the credential')
    .argument('[rotation]', 'id of a rotation')
    .option('--watch', 'print every change until the rotation is over')
    .addHelpText('after', examples('rekey show orders-db', 'rekey show orders-db --watch'))
    .action(async (name: string, rotation: string | undefined, given: { watch?: true }, command: Command) => {
      done(await show(context(command), name, rotation, { watch: given.watch ?? false }));
    });

  program
    .command('rotate')
    .summary('rotate a credential now')
    .description(
      'Starts a rotation: a new credential is made, tested and stored; agents move to it while the old one still ' +
        'works; then the old one is retired as the policy says. Refused while another rotation is under way.',
    )
    .argument('<name>', 'name of the credential')
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--wait', 'follow it until it is over')
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples('rekey rotate orders-db', 'rekey rotate orders-db --reason "a colleague left" --wait'),
    )
    .action(
      async (name: string, given: { reason?: string; wait?: true; dryRun?: true }, command: Command) => {
        done(
          await rotate(context(command), name, {
            ...given,
            wait: given.wait ?? false,
            dryRun: given.dryRun ?? false,
          }),
        );
      },
    );

  program
    .command('rollback')
    .summary('bring the old credential back while its window is open')
    .description(
      'Asks for the rollback of the rotation under way: the old credential becomes current again, holders move back, ' +
        'then the new one is revoked. Possible until the old one is being revoked.',
    )
    .argument('<name>', 'name of the credential')
    .argument('[rotation]', 'id of the rotation; default: the one under way')
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--wait', 'follow it until it is over; exit code 0 once it is rolled back')
    .option('--dry-run', 'say whether it is possible, change nothing')
    .addHelpText('after', examples('rekey rollback orders-db --reason "permission errors"'))
    .action(
      async (
        name: string,
        rotation: string | undefined,
        given: { reason?: string; wait?: true; dryRun?: true },
        command: Command,
      ) => {
        const flags = { wait: given.wait ?? false, dryRun: given.dryRun ?? false };
        done(await rollback(context(command), name, rotation, { ...given, ...flags }));
      },
    );

  program
    .command('confirm')
    .summary('say that a holder which moves by hand has moved')
    .description(
      'Records that a holder of kind manual uses the new credential only. The audit trail names you. Once every holder ' +
        'is proven and nobody uses the old credential at its source, it is retired.',
    )
    .argument('<name>', 'name of the credential')
    .argument('<holder>', 'name of the holder')
    .option('--rotation <id>', 'id of the rotation; default: the one under way')
    .option('--reason <text>', 'how you know; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what would be recorded, change nothing')
    .addHelpText('after', examples('rekey confirm orders-db quarterly-report --reason "report ran with it"'))
    .action(
      async (
        name: string,
        holder: string,
        given: { rotation?: string; reason?: string; dryRun?: true },
        command: Command,
      ) => {
        done(await confirm(context(command), name, holder, { ...given, dryRun: given.dryRun ?? false }));
      },
    );

  program
    .command('revoke')
    .summary('EMERGENCY: revoke credentials at once')
    .description(
      'Emergency revocation. Every working credential is revoked at its target at once, open sessions are ended, ' +
        'agents are told to halt; then a new credential is made, tested and stored, and agents may resume. ' +
        'Unlike `rotate` it breaks what is running. Ids work even while the ledger is down.',
    )
    .argument('<names...>', 'names or ids of the credentials')
    .requiredOption('--incident <id>', 'id of the incident; stands in the audit trail')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--yes', 'do not ask; the first request is the revocation')
    .option('--no-replace', 'revoke only; agents stay halted')
    .option('--wait', 'wait for its end')
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey revoke orders-db --incident INC-1234 --reason "key found in a public repository"',
        'rekey revoke orders-db billing-db --incident INC-1234 --reason "stolen laptop" --yes --wait',
      ),
    )
    .action(
      async (
        names: string[],
        given: { incident: string; reason: string; yes?: true; replace: boolean; wait?: true; dryRun?: true },
        command: Command,
      ) => {
        const flags = { yes: given.yes ?? false, wait: given.wait ?? false, dryRun: given.dryRun ?? false };
        done(
          await revoke(context(command), [...new Set(names)], checkedRevoke(names, { ...given, ...flags })),
        );
      },
    );

  program
    .command('audit')
    .summary('all rotations of a span, with proof of deactivation')
    .description(
      'Lists every rotation of a span with its date, its actor and whether the old credential is CONFIRMED to be ' +
        'deactivated, and checks the hash chain of the records. Exit code 3 where the chain has faults.',
    )
    .option('--from <date>', 'first day (UTC), default: a year before the last', date('--from'))
    .option('--to <date>', 'last day (UTC), default: today', date('--to'))
    .option('--credential <name>', 'only this credential (name or id)')
    .addHelpText(
      'after',
      examples('rekey audit', 'rekey audit --from 2026-01-01 --to 2026-06-30 --credential orders-db'),
    )
    .action(async (given: { from?: string; to?: string; credential?: string }, command: Command) => {
      if (given.from !== undefined && given.to !== undefined && given.from > given.to) {
        throw usage('--from is later than --to');
      }
      done(await audit(context(command), given));
    });
  return program;
}

async function connect(
  out: Output,
  aws: AwsContext,
  globals: Globals,
  io: Io,
  { pause }: RunOptions,
): Promise<ApiClient> {
  const given = globals.apiUrl ?? (io.env['REKEY_API_URL'] === '' ? undefined : io.env['REKEY_API_URL']);
  if (!/^[A-Za-z0-9-]+$/.test(globals.stage)) throw usage(`"${globals.stage}" is not the name of a stage`);
  const url = given ?? (await out.waiting('looking up the API', aws.lookUpApiUrl(globals.stage)));
  return new ApiClient(aws, checkedUrl(url, 'the address of the API'), pause);
}

function checkedRevoke(credentials: readonly string[], options: RevokeOptions): RevokeOptions {
  const { incident, reason, replace } = options;
  const parsed = emergencyRequest.safeParse({ credentials, incident, reason, replace });
  if (parsed.success) return options;
  const { message, field } = requestError(parsed.error);
  throw new Failure('ERR_USAGE', message, { exit: EXIT.usage, field });
}

function filled(option: string): (text: string) => string {
  return (text) => {
    if (text.trim() === '') throw usage(`${option} is empty`);
    return text;
  };
}

function date(option: string): (text: string) => string {
  return (text) => {
    const parsed = day.safeParse(text);
    if (!parsed.success) throw usage(`${option} ${text}: ${parsed.error.issues[0]?.message ?? 'not a date'}`);
    return text;
  };
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}

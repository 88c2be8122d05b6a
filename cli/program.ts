import { Command, CommanderError, Option } from 'commander';
import { REKEY_VERSION } from '../shared/version.ts';
import { AwsContext, checkedUrl } from './aws.ts';
import { ApiClient } from './client.ts';
import type { AddCommand, Run } from './command.ts';
import { addApply } from './commands/apply.ts';
import { addAudit } from './commands/audit.ts';
import { addConfirm } from './commands/confirm.ts';
import { addConnect } from './commands/connect.ts';
import { addDecommission } from './commands/decommission.ts';
import { addDoctor } from './commands/doctor.ts';
import { addImport } from './commands/import.ts';
import { addIncident } from './commands/incident.ts';
import { addPacts } from './commands/pacts.ts';
import { addPause, addUnpause } from './commands/pause.ts';
import { addPlan } from './commands/plan.ts';
import { addProviders } from './commands/providers.ts';
import { addRevoke } from './commands/revoke.ts';
import { addRoots } from './commands/roots.ts';
import { addRollback, addRotate } from './commands/rotate.ts';
import { addList, addShow } from './commands/show.ts';
import { addSubscribe, addSubscriptions, addUnsubscribe } from './commands/subscribe.ts';
import { addUnregister } from './commands/unregister.ts';
import { addUses } from './commands/uses.ts';
import type { Context } from './context.ts';
import { EXIT, failureOf, usage } from './failure.ts';
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
  3  audit: the chain of records, or the copy of the archive, has faults; doctor: something must be mended
  4  watched or waited for, and it was aborted, rolled back or preempted, or it needs a person
  5  the API or AWS did not answer; what was asked for may have begun
  6 to 9  revoke --leaked: what the value is, see \`rekey revoke --help\`
  10 doctor: something could not be checked, and nothing that was must be mended

Where it goes and as whom:
  The address of the API is --api-url, else REKEY_API_URL unless --stage names another stage than
  REKEY_STAGE, else the output ApiUrl of the stack rekey-<stage>-api. Requests are signed with your AWS credentials; the audit trail names their ARN.
  AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and the shared configuration files
  count as for the AWS CLI. NO_COLOR turns colours off; REKEY_DEBUG=1 shows where an error came from.

Examples:
  $ rekey apply --dry-run
  $ rekey rotate orders-db --reason "a colleague left" --wait
  $ rekey revoke orders-db --incident INC-1234 --reason "key found in a public repository"
  $ rekey doctor
  $ rekey audit --from 2026-01-01 --json > rotations.json
`;

/** In the order of the help. */
const COMMANDS: readonly AddCommand[] = [
  addApply,
  addImport,
  addList,
  addPlan,
  addShow,
  addRotate,
  addRollback,
  addPause,
  addUnpause,
  addConfirm,
  addConnect,
  addPacts,
  addRevoke,
  addDecommission,
  addIncident,
  addUnregister,
  addSubscribe,
  addSubscriptions,
  addUnsubscribe,
  addUses,
  addAudit,
  addDoctor,
  addProviders,
  addRoots,
];

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
    const globals = { ...command.optsWithGlobals<Globals>(), ...addressOf(command, io) };
    if (!/^[A-Za-z0-9-]+$/.test(globals.stage)) throw usage(`"${globals.stage}" is not the name of a stage`);
    const out = new Output(io, globals.json ?? false);
    const aws = new AwsContext(globals, io.env);
    let client: Promise<ApiClient> | undefined;
    return {
      out,
      aws,
      stage: globals.stage,
      pollMs: options.pollMs ?? 2000,
      client: () => (client ??= connect(out, aws, globals, options)),
    };
  };

  const runCommand: Run = async (command, act) => {
    done(await act(context(command)));
  };
  for (const add of COMMANDS) add(program, runCommand);
  return program;
}

/** A stage that the command line names, and not the environment, goes before the address that the environment has. */
function addressOf(command: Command, { env }: Io): Pick<Globals, 'apiUrl'> {
  const { apiUrl, stage } = command.optsWithGlobals<Globals>();
  const url = env['REKEY_API_URL'];
  if (apiUrl !== undefined || url === undefined || url === '') return {};
  const isNamed = command.getOptionValueSourceWithGlobals('stage') === 'cli';
  return isNamed && stage !== env['REKEY_STAGE'] ? {} : { apiUrl: url };
}

async function connect(
  out: Output,
  aws: AwsContext,
  globals: Globals,
  { pause }: RunOptions,
): Promise<ApiClient> {
  const url = globals.apiUrl ?? (await out.waiting('looking up the API', aws.lookUpApiUrl(globals.stage)));
  return new ApiClient(aws, checkedUrl(url, 'the address of the API'), pause);
}

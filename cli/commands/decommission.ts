import type { Command } from 'commander';
import {
  decommissionAnswer,
  decommissionRequest,
  type DecommissionAnswer,
} from '../../shared/api/messages.ts';
import { requestError } from '../../shared/api/problems.ts';
import { inWords } from '../../shared/domain/wording.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, usage } from '../failure.ts';
import type { Output } from '../io.ts';
import { when } from '../render.ts';
import { revokeSelected } from '../selection.ts';
import { rotateSelected } from '../staged.ts';

interface Options {
  readonly incident: string;
  readonly reason: string;
  readonly emergency: boolean;
  readonly yes: boolean;
  readonly wait: boolean;
  readonly dryRun: boolean;
}

/**
 * `rekey decommission AGENT`: first it has no say any more, then what it held is rotated, or revoked. Both may be repeated, so that
 * the same command goes on where it was interrupted.
 */
async function decommission(context: Context, agent: string, options: Options): Promise<number> {
  const { out } = context;
  const { emergency, yes, dryRun } = options;
  const would = await ask(context, agent, options, true);
  describe(out, would);
  if (dryRun) tell(out, would);
  if (!dryRun) {
    if (!yes) await confirm(out, agent, options);
    const { changed, at, actor } = await ask(context, agent, options, false);
    const since = changed ? '' : ` since ${when(at)}, by ${actor}`;
    out.line(`${out.style('green', 'out of service')}: ${agent}${since}`);
  }
  const select = { agent };
  const { incident, reason, wait } = options;
  const work = emergency
    ? await revokeSelected(context, select, { incident, reason, wait, dryRun, yes: true, replace: true })
    : await rotateSelected(context, select, { incident, reason, wait, dryRun }, { agent: would });
  if (!dryRun) tell(out, would);
  return work;
}

async function ask(
  context: Context,
  agent: string,
  { incident, reason }: Pick<Options, 'incident' | 'reason'>,
  dryRun: boolean,
): Promise<DecommissionAnswer> {
  const { out } = context;
  const client = await context.client();
  const body = { incident, reason, dryRun };
  return out.waiting(
    dryRun ? 'reading' : `taking ${agent} out of service`,
    client.post(decommissionAnswer, ['agents', agent, 'decommission'], { body, timeoutMs: LONG_TIMEOUT_MS }),
  );
}

function describe(out: Output, answer: DecommissionAnswer): void {
  const { agent, handsTo, handedBy } = answer;
  out.line(`${out.style('bold', agent)} is taken out of service:`);
  out.line('  - it opens no session, acknowledges nothing, and gets no certificate any more');
  out.line('  - no window waits for it; what it held is replaced, and others who hold that move');
  if (handsTo.length > 0) {
    out.line(
      `  - it hands something to ${handsTo.join(', ')}: these stay in service, and get the new values`,
    );
  }
  if (handedBy.length > 0) out.line(`  - it gets something from ${handedBy.join(', ')}`);
}

function tell(out: Output, answer: DecommissionAnswer): void {
  for (const task of tasksOf(answer)) out.line(`${out.style('yellow', 'yours')}: ${task}`);
}

/** What no command of Rekey's does. */
function tasksOf({ agent, held, families, handedBy, principals }: DecommissionAnswer): string[] {
  const declared = [...held.map(({ credential }) => credential), ...families];
  const alone = held.filter((each) => each.alone).map(({ credential }) => credential);
  return [
    ...principals.map(
      (principal) =>
        `${principal} may read in Secrets Manager what its IAM policies say: delete it, or take these from it`,
    ),
    ...(declared.length === 0
      ? []
      : [`take ${agent} out of the holders of ${declared.join(', ')} in your declaration, and apply it`]),
    ...(handedBy.length === 0
      ? []
      : [`take ${agent} out of the delegates in the pacts of ${handedBy.join(', ')}`]),
    ...(alone.length === 0
      ? []
      : [
          `nobody else holds ${alone.join(', ')}: once they are rotated, end them (rekey revoke … --no-replace, rekey unregister …)`,
        ]),
    ...(families.length === 0
      ? []
      : [
          `the access tokens of ${families.join(', ')} that it has work until they end: rekey rotate refreshes now`,
        ]),
  ];
}

async function confirm(out: Output, agent: string, { emergency }: Options): Promise<void> {
  if (!out.io.stdinIsTty || out.json) {
    throw usage(
      'taking an agent out of service needs confirmation, and nobody can be asked here',
      'add --yes',
    );
  }
  if (emergency) out.line('What it holds is revoked at once: whoever else holds that is halted too.');
  const answer = await out.io.ask(`Take ${agent} out of service now? Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', 'cancelled; nothing was changed');
}

function checked(options: Options): Options {
  const { incident, reason } = options;
  const parsed = decommissionRequest.safeParse({ incident, reason }, { error: inWords });
  if (parsed.success) return options;
  const { message, field } = requestError(parsed.error);
  throw new Failure('ERR_USAGE', message, { exit: EXIT.usage, field });
}

/** `rekey decommission` on the command line. */
export const addDecommission: AddCommand = (program, run) => {
  program
    .command('decommission')
    .summary('take an agent out of service, and replace what it held')
    .description(
      'The agent has no say any more: it opens no session, acknowledges nothing, registers no pact and gets no certificate. ' +
        'Then each credential that it held is rotated, while others who hold it work on; with --emergency it is revoked at ' +
        'once. What is left to you is named: its IAM role, and your declaration. Run again, it does what was left.',
    )
    .argument('<agent>', 'name of the agent, as declarations and pacts have it')
    .requiredOption('--incident <id>', 'id of the incident or ticket; stands in the audit trail')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--emergency', 'revoke what it held at once, instead of rotating it')
    .option('--yes', 'do not ask')
    .option('--wait', 'wait for the end of the rotations, or of the emergency')
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey decommission order-agent --incident OPS-12 --reason "replaced by shop-agent" --dry-run',
        'rekey decommission order-agent --incident OPS-12 --reason "replaced by shop-agent" --yes --wait',
        'rekey decommission order-agent --incident INC-9 --reason "compromised" --emergency --yes',
      ),
    )
    .action(async (agent: string, given: Given, command: Command) => {
      const { incident, reason, emergency = false, yes = false, wait = false, dryRun = false } = given;
      const options = { incident, reason, emergency, yes, wait, dryRun };
      await run(command, (context) => decommission(context, agent, checked(options)));
    });
};

interface Given {
  readonly incident: string;
  readonly reason: string;
  readonly emergency?: true;
  readonly yes?: true;
  readonly wait?: true;
  readonly dryRun?: true;
}

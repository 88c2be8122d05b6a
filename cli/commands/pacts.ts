import type { Command } from 'commander';
import {
  applyPactAnswer,
  pactShownAnswer,
  pactsAnswer,
  type PactView,
  type SessionView,
} from '../../shared/api/messages.ts';
import { durationText } from '../../shared/domain/duration.ts';
import { parsePact } from '../../shared/domain/pact.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { readYaml, refused, type FileKind } from '../declaration-file.ts';
import { allOf, EXIT } from '../failure.ts';
import type { Output } from '../io.ts';
import { distance, when } from '../render.ts';

const PACT: FileKind = {
  code: 'ERR_PACT',
  form: 'correct the YAML; docs/pact.schema.json has every field with its meaning',
  missing: 'pass the file of one pact; docs/agents.md shows the form',
};

/** `rekey pacts`: the agents that have registered what they can bear. */
async function list(context: Context): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const all: PactView[] = [];
  let page: string | undefined;
  do {
    const answer = await out.waiting('reading', client.get(pactsAnswer, ['pacts'], { query: { page } }));
    all.push(...answer.pacts);
    page = answer.next;
  } while (page !== undefined);
  out.data({ pacts: all });
  if (all.length === 0) {
    out.line('No agent has registered a pact yet: agents do at their start, or `rekey pacts apply FILE`.');
    return EXIT.ok;
  }
  out.table(
    ['AGENT', 'VERSION', 'CREDENTIALS', 'LONGEST SESSION', 'REGISTERED'],
    all.map(({ agent, version, credentials, sessionLimitSeconds, registeredAt }) => [
      agent,
      String(version),
      credentials.map(({ credential }) => credential).join(', '),
      durationText(sessionLimitSeconds),
      distance(registeredAt, out.io.now()),
    ]),
  );
  return EXIT.ok;
}

/** `rekey pacts show AGENT`: a pact, and the sessions of its agent. */
async function show(context: Context, agent: string): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const shown = await out.waiting('reading', client.get(pactShownAnswer, ['pacts', agent]));
  out.data(shown);
  render(out, shown.pact);
  if (shown.sessions.length === 0) out.line('No session of it is known.');
  else sessionTable(out, shown.sessions);
  if (shown.total > shown.sessions.length) out.note(`${shown.total - shown.sessions.length} more sessions`);
  return EXIT.ok;
}

/** `rekey pacts apply FILE`: registers a pact for an agent that can't do so itself. */
async function apply(context: Context, path: string, dryRun: boolean): Promise<number> {
  const { out } = context;
  const file = await readYaml(path, out.io.cwd, PACT);
  const agent = agentOf(file);
  const client = await context.client();
  try {
    const answer = await out.waiting(
      dryRun ? `checking ${agent}` : `registering ${agent}`,
      client.post(applyPactAnswer, ['pacts'], { body: { pact: file.content, dryRun } }),
    );
    out.data(answer);
    const { outcome, pact } = answer;
    const did = dryRun ? 'would be registered' : 'registered';
    if (outcome === 'unchanged')
      out.line(`${out.style('dim', '=')} ${agent}: unchanged (version ${pact.version})`);
    else out.line(`${out.style('green', '+')} ${agent}: ${did} as version ${pact.version}`);
    if (dryRun) out.line('Nothing was changed. Run it without --dry-run to apply.');
    return EXIT.ok;
  } catch (error) {
    throw refused(
      allOf(error).map((failure) => file.located(failure)),
      'nothing was changed',
    );
  }
}

/** Checks the form here, so that each mistake is told with its line. */
function agentOf(file: Awaited<ReturnType<typeof readYaml>>): string {
  try {
    return parsePact(file.content).agent;
  } catch (error) {
    throw refused(allOf(error).map((failure) => file.located(failure)));
  }
}

function render(out: Output, pact: PactView): void {
  const { agent, version, actor, registeredAt, checkpoint, sessionLimitSeconds } = pact;
  out.line(
    `${out.style('bold', agent)}  pact version ${version}, registered ${when(registeredAt)} by ${actor}`,
  );
  out.line(
    `  sessions of ${durationText(sessionLimitSeconds)} at most, ${checkpoint ? 'with' : 'without'} checkpoints`,
  );
  out.table(
    ['CREDENTIAL', 'CHANGES IT', 'TTL', 'WITHOUT VAULT', 'USES', 'HANDS IT TO'],
    pact.credentials.map((each) => [
      each.credential,
      each.refresh === 'between-sessions' ? 'between sessions' : 'in a session',
      durationText(each.ttlSeconds),
      durationText(each.staleLimitSeconds),
      each.usesPerHour === undefined ? each.uses : `${each.uses}, ${each.usesPerHour} an hour at most`,
      each.delegates.length === 0 ? '–' : each.delegates.join(', '),
    ]),
  );
}

function sessionTable(out: Output, sessions: readonly SessionView[]): void {
  const now = out.io.now();
  out.table(
    ['INSTANCE', 'STATE', 'OPENED', 'SEEN', 'HOLDS'],
    sessions.map(({ instance, state, openedAt, seenAt, holds }) => [
      instance,
      state === 'lost' ? out.style('yellow', state) : state,
      distance(openedAt, now),
      distance(seenAt, now),
      holds.map(({ credential, version }) => `${credential} ${version.slice(0, 8)}`).join(', '),
    ]),
  );
}

/** `rekey pacts` on the command line. */
export const addPacts: AddCommand = (program, run) => {
  const pacts = program
    .command('pacts')
    .summary('what agents can bear, and who of them is in session')
    .description(
      'Lists the pacts that agents have registered; `show` has one with its sessions, `apply` registers one.',
    )
    .addHelpText(
      'after',
      examples('rekey pacts', 'rekey pacts show checkout', 'rekey pacts apply checkout.yaml --dry-run'),
    )
    .action(async (_given: object, command: Command) => {
      await run(command, list);
    });
  pacts
    .command('show')
    .summary('a pact, and the sessions of its agent')
    .argument('<agent>', 'name of the agent')
    .action(async (agent: string, _given: object, command: Command) => {
      await run(command, (context) => show(context, agent));
    });
  pacts
    .command('apply')
    .summary('register the pact of an agent that does not do so itself')
    .description('Registers the pact in a file. What the declaration does not bear is refused, by its line.')
    .argument('<file>', 'file with one pact')
    .option('--dry-run', 'say what would be registered, change nothing')
    .action(async (file: string, { dryRun }: { dryRun?: true }, command: Command) => {
      await run(command, (context) => apply(context, file, dryRun ?? false));
    });
};

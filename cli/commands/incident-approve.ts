import type { Command } from 'commander';
import {
  heldSignalAnswer,
  heldSignalsAnswer,
  type HeldSignalView,
  type HeldValueView,
} from '../../shared/api/messages.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure } from '../failure.ts';
import type { Output } from '../io.ts';
import { when } from '../render.ts';

interface VoteOptions {
  readonly reason: string;
  readonly breakGlass?: boolean;
  readonly dryRun?: boolean;
}

type Verdict = 'approvals' | 'denials';

/** `rekey incident held`: what waits for people. */
async function listHeld(context: Context): Promise<number> {
  const { out } = context;
  const { signals } = await read(context);
  out.data({ signals: signals.map((signal) => ({ ...signal, values: valuesOf(signal) })) });
  if (signals.length === 0) out.line('No signal is held.');
  for (const signal of signals) for (const line of linesOf(out, signal)) out.line(line);
  return EXIT.ok;
}

/** `rekey incident approve ID`, `rekey incident deny ID`: the API knows who decides by the signature of the request. */
async function vote(context: Context, id: string, verdict: Verdict, options: VoteOptions): Promise<number> {
  const { out } = context;
  if (options.dryRun === true) return foresee(context, id, verdict);
  const client = await context.client();
  const breaksGlass = verdict === 'approvals' && options.breakGlass === true;
  const { signal } = await out.waiting(
    'recording it',
    client.post(heldSignalAnswer, ['held-signals', id, verdict], {
      body: { reason: options.reason, ...(breaksGlass ? { breakGlass: true } : {}) },
    }),
  );
  out.data({ signal });
  const names = namesOf(signal);
  switch (signal.status) {
    case 'approved':
      out.line(
        `${out.style('red', 'approved → revoking')}: ${names}` +
          (signal.credentials.length === 0 ? '' : `, by emergency ${signal.id}`),
      );
      break;
    case 'denied':
      out.line(`denied: nothing of ${names} is revoked by signal ${signal.id}`);
      break;
    default:
      out.line(
        `approved once: a second responder has to (${names}); alone you may from ${when(signal.glassAt)} on`,
      );
  }
  return EXIT.ok;
}

async function foresee(context: Context, id: string, verdict: Verdict): Promise<number> {
  const { out } = context;
  const { signals } = await read(context);
  const signal = signals.find((each) => each.id === id);
  if (signal === undefined) {
    throw new Failure('ERR_NOT_FOUND', `no signal "${id}" is held`, {
      remedy: '`rekey incident held` lists them',
    });
  }
  out.data({ dryRun: true, signal: { ...signal, values: valuesOf(signal) } });
  for (const line of linesOf(out, signal)) out.line(line);
  out.line(
    verdict === 'denials' ? 'It would be denied: nothing is revoked.' : 'It would have your approval.',
  );
  out.line('Nothing was changed.');
  return EXIT.ok;
}

async function read(context: Context) {
  const client = await context.client();
  return context.out.waiting('reading', client.get(heldSignalsAnswer, ['held-signals']));
}

function namesOf({ credentials, families = [] }: HeldSignalView): string {
  return [...credentials, ...families].join(', ');
}

/** An older server says of all its values together whether they are suspended, where their providers can. */
function valuesOf({ credentials, families = [], suspends, values }: HeldSignalView): HeldValueView[] {
  const state = suspends === true ? 'unknown' : 'works';
  return (
    values ?? [
      ...credentials.map((name) => ({ name, state })),
      ...families.map((name) => ({ name, state: 'works' })),
    ]
  );
}

function valueText(out: Output, { name, state, why }: HeldValueView): string {
  const because = why === undefined ? '' : `: ${why}`;
  switch (state) {
    case 'suspended':
      return `${name}: suspended until it is decided, agents are refused`;
    case 'works':
      return `${name}: ${out.style('red', 'NOT suspended, its value works')}${because}`;
    case 'ended':
      return `${name}: its value has ended meanwhile`;
    default:
      return `${name}: suspended where its provider can (\`rekey providers\`), else its value works`;
  }
}

function linesOf(out: Output, signal: HeldSignalView): string[] {
  const { id, source, heldAt, why, url, approvals, glassAt } = signal;
  return [
    `${id}  ${source}, held ${when(heldAt)}: ${why}`,
    `  would revoke ${namesOf(signal)}`,
    ...valuesOf(signal).map((value) => `  ${valueText(out, value)}`),
    ...(url === undefined ? [] : [`  ${url}`]),
    `  approved by ${approvals.length === 0 ? 'nobody' : approvals.map(({ actor }) => actor).join(', ')}; one alone may from ${when(glassAt)} on`,
  ];
}

/** `rekey incident held` on the command line. */
export const addIncidentHeld: AddCommand = (program, run) => {
  program
    .command('held')
    .summary('list signals that wait for people')
    .description('Signals that would do more than one may do without a person, the longest held first.')
    .action(async (_options: object, command: Command) => {
      await run(command, listHeld);
    });
};

/** `rekey incident approve` on the command line. */
export const addIncidentApprove: AddCommand = (program, run) => {
  program
    .command('approve')
    .summary('approve a signal that is held: revoke what it is about')
    .description(
      'The second approval, of another responder, starts the emergency. Who has reported it does not approve it. After the ' +
        'time of the setting breakGlassMinutes one may decide alone with --break-glass, which pages everybody.',
    )
    .argument('<id>', 'id of the signal, as `rekey incident held` has it')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--break-glass', 'decide alone')
    .option('--dry-run', 'say what it is about, change nothing')
    .addHelpText('after', examples('rekey incident approve 0f5b2c1e-… --reason "seen it in the repository"'))
    .action(async (id: string, options: VoteOptions, command: Command) => {
      await run(command, (context) => vote(context, id, 'approvals', options));
    });
};

/** `rekey incident deny` on the command line. */
export const addIncidentDeny: AddCommand = (program, run) => {
  program
    .command('deny')
    .summary('deny a signal that is held: nothing is revoked')
    .description('One responder is enough; the audit trail names you.')
    .argument('<id>', 'id of the signal, as `rekey incident held` has it')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what it is about, change nothing')
    .addHelpText('after', examples('rekey incident deny 0f5b2c1e-… --reason "a test value of our own"'))
    .action(async (id: string, options: VoteOptions, command: Command) => {
      await run(command, (context) => vote(context, id, 'denials', options));
    });
};

import type { Command } from 'commander';
import { planAnswer, type PlanEntry } from '../../shared/api/messages.ts';
import { duration } from '../../shared/domain/declaration-form.ts';
import { durationSeconds } from '../../shared/domain/duration.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import { distance, waitText, when } from '../render.ts';

/** `rekey plan`: what rotates when and why; what doesn't, and why not. */
async function plan(context: Context, options: { within?: string }): Promise<number> {
  const { out } = context;
  const within = options.within === undefined ? undefined : withinSeconds(options.within);
  const client = await context.client();
  const all: PlanEntry[] = [];
  let page: string | undefined;
  do {
    const answer = await out.waiting('reading', client.get(planAnswer, ['plan'], { query: { page } }));
    all.push(...answer.plan);
    page = answer.next;
  } while (page !== undefined);
  const now = out.io.now();
  const shown = all
    .filter((entry) => within === undefined || isWithin(entry, now + within * 1000))
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  out.data({ plan: shown });
  if (all.length === 0) {
    out.line('No credential is registered yet: `rekey apply -f rekey.yaml` registers them.');
    return EXIT.ok;
  }
  if (shown.length > 0) {
    out.table(
      ['CREDENTIAL', 'STARTS', 'DEADLINE', 'WHY', 'FINDINGS'],
      shown.map((entry) => [
        entry.credential,
        entry.starts === undefined
          ? out.style('yellow', `not planned: ${entry.notPlanned ?? ''}`)
          : `${when(entry.starts)} (${distance(entry.starts, now)})${waits(entry)}`,
        deadline(entry, now, (text) => out.style('red', text)),
        entry.why,
        entry.findings.length === 0
          ? '–'
          : out.style('yellow', entry.findings.map(({ text }) => text).join('; ')),
      ]),
    );
  }
  if (shown.length < all.length) {
    out.note(`${all.length - shown.length} more with nothing to come within ${options.within ?? ''}`);
  }
  return EXIT.ok;
}

function waits(entry: PlanEntry): string {
  const text = waitText(entry);
  return text === undefined ? '' : `: ${text}`;
}

/** By start; what is not planned comes last, by deadline. */
function sortKey({ starts, deadline: latest, credential }: PlanEntry): string {
  return `${starts ?? `9999 ${latest ?? '9999'}`} ${credential}`;
}

function isWithin({ starts, deadline: latest }: PlanEntry, until: number): boolean {
  const first = starts ?? latest;
  return first !== undefined && Date.parse(first) <= until;
}

function deadline({ deadline: latest }: PlanEntry, now: number, overdue: (text: string) => string): string {
  if (latest === undefined) return '–';
  return Date.parse(latest) < now ? overdue(when(latest)) : when(latest);
}

function withinSeconds(text: string): number {
  const parsed = duration.safeParse(text);
  if (!parsed.success)
    throw usage(`--within ${text}: ${parsed.error.issues[0]?.message ?? 'not a duration'}`);
  return durationSeconds(text);
}

/** `rekey plan` on the command line. */
export const addPlan: AddCommand = (program, run) => {
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
      await run(command, (context) => plan(context, given));
    });
};

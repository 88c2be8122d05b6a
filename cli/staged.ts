import { stagedAnswer, type StagedAnswer, type StagedStep } from '../shared/api/messages.ts';
import type { Selection } from '../shared/domain/selection.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from './client.ts';
import type { Context } from './context.ts';
import { EXIT, Failure } from './failure.ts';
import type { Output } from './io.ts';
import { watchAll } from './watch-all.ts';

/** The options of an order to rotate many. */
export interface StagedOptions {
  readonly incident: string;
  readonly reason: string;
  readonly wait: boolean;
  readonly dryRun: boolean;
}

/** Every step of an order, over as many requests as it took. */
export type StagedOutcome = Omit<StagedAnswer, 'left'>;

/**
 * Starts a staged rotation of each credential of a selection, and says of each what has become of it, and why it is among them.
 * Run again it starts nothing twice and does what was left. `beside` stands in the answer for machines as well.
 */
export async function rotateSelected(
  context: Context,
  select: Selection,
  options: StagedOptions,
  beside: object = {},
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const outcome = await order(out, client, select, options);
  conclude(out, outcome, options);
  const begun = outcome.steps.filter(({ rotation }) => rotation !== undefined);
  if (options.wait && !options.dryRun && begun.length > 0) {
    out.event({ ...beside, ...outcome });
    return Math.max(await watchAll(context, client, begun), exitOf(outcome));
  }
  out.data({ ...beside, ...outcome });
  return exitOf(outcome);
}

/** Orders until everything has had its turn, and tells of each as soon as it has. */
async function order(
  out: Output,
  client: ApiClient,
  select: Selection,
  { incident, reason, dryRun }: StagedOptions,
): Promise<StagedOutcome> {
  const body = { select, incident, reason, dryRun };
  const steps = new Map<string, StagedStep>();
  for (;;) {
    const work = client.post(stagedAnswer, ['rotations'], { body, timeoutMs: LONG_TIMEOUT_MS });
    const { left, ...answer } = await out.waiting(dryRun ? 'reading' : 'starting rotations', work);
    const fresh = answer.steps.filter(({ credentialId }) => !steps.has(credentialId));
    for (const step of fresh) {
      steps.set(step.credentialId, step);
      tell(out, step);
    }
    if (left === 0) return { ...answer, steps: [...steps.values()] };
    if (fresh.length === 0) {
      throw new Failure(
        'ERR_UNAVAILABLE',
        `${left} credentials had no turn: the deployment is too slow now`,
        {
          exit: EXIT.unreachable,
          remedy: 'run the same command again: it goes on where this has stopped',
        },
      );
    }
    out.progress(`${steps.size} of ${steps.size + left} have had their turn`);
  }
}

const COLOURS = {
  started: 'green',
  joined: 'cyan',
  start: 'green',
  refused: 'yellow',
  'by-hand': 'red',
} as const;
const WORDS: Readonly<Record<string, string>> = {
  start: 'would start',
  joined: 'under way',
  refused: 'NOT NOW',
  'by-hand': 'BY HAND',
};

function tell(out: Output, step: StagedStep): void {
  const { act, credential, type, provider, why, rotation, text, remedy, beside, tasks } = step;
  const colour = act in COLOURS ? COLOURS[act as keyof typeof COLOURS] : 'yellow';
  const which = rotation === undefined ? '' : `  rotation ${rotation}`;
  out.line(
    `${out.style(colour, WORDS[act] ?? act)}  ${out.style('bold', credential)}  ${type}/${provider}${which}`,
  );
  out.line(`  because ${why.join('; ')}`);
  if (text !== undefined) out.line(`  ${text}`);
  if (remedy !== undefined) out.line(`  ${out.style(colour, 'to do')}: ${remedy}`);
  for (const other of beside) out.line(`  beside another: ${other}`);
  for (const task of tasks) out.line(`  ${out.style('yellow', 'to do')}: ${task}`);
}

function conclude(
  out: Output,
  { steps, families, unknown, dryRun }: StagedOutcome,
  { wait }: StagedOptions,
): void {
  for (const { family, why, remedy } of families) {
    out.line(`${out.style('red', 'BY HAND')}  ${out.style('bold', family)}  token family`);
    out.line(`  because ${why}`);
    out.line(`  ${out.style('red', 'to do')}: ${remedy}`);
  }
  for (const each of unknown) out.line(`not known: ${each}`);
  if (steps.length === 0 && families.length === 0) {
    out.line('Nothing is left to be replaced: no value of it works any more.');
    return;
  }
  const counts = Map.groupBy(steps, ({ act }) => act);
  const told = [...counts].map(([act, ones]) => `${ones.length} ${(WORDS[act] ?? act).toLowerCase()}`);
  const byHand = families.length === 0 ? [] : [`${families.length} token families by hand`];
  out.line(`${[...told, ...byHand].join(', ')}.`);
  if (dryRun) out.line('Nothing was changed.');
  else if (!wait)
    out.line('Agents move while old and new both work. Run the same command again to see what is left.');
}

/** What isn't begun needs a person, or the same command again. */
function exitOf({ steps, families, dryRun }: StagedOutcome): number {
  const open = families.length > 0 || steps.some(({ act }) => act === 'refused' || act === 'by-hand');
  return open && !dryRun ? EXIT.unhappy : EXIT.ok;
}

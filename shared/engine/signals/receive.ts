import { RekeyError } from '../../domain/errors.ts';
import { decide, oneOfEach } from '../../domain/signals/decide.ts';
import { withAlert } from '../../domain/signals/github.ts';
import type { Signal } from '../../domain/signals/signal.ts';
import { carryOut, namesOf } from './carry-out.ts';
import type { Received, SignalDeps, SignalOutcome } from './deps.ts';
import { matchesOf } from './match.ts';
import { recordEach } from './notes.ts';
import { asNew, remember } from './taken.ts';

/**
 * Takes a signal of a source that is known. What was taken before is dropped, unless its value lives on although nothing is under
 * way for it; what is above the budget of its source is refused and changes nothing. It is marked as taken at the end: whatever
 * dies in between is joined by the repetition, under the same ids.
 */
export async function receiveSignal(deps: SignalDeps, received: Received): Promise<SignalOutcome> {
  const { policy, dryRun = false } = received;
  const isCounted = !dryRun && received.resumes !== true;
  const signal = isCounted ? await asNew(deps, received.signal) : received.signal;
  if (signal === undefined) return { act: 'repeated', credentials: [] };
  const { source } = signal;
  if (isCounted && !(await mayTake(deps, `${source}#LOOKED`, policy.perHour, LOOKS))) return OVER_BUDGET;
  const whole = await completed(deps, signal);
  const matches = await matchesOf(deps, received.names ?? {}, whole);
  const decision = decide(whole, matches, policy);
  if (dryRun) return { act: decision.act, ...namesOf(decision) };
  // Made-up values that somebody has put where a source finds them take nothing from those that are ours.
  if (isCounted && decision.act !== 'nothing' && !(await mayTake(deps, source, policy.perHour)))
    return OVER_BUDGET;
  const about = { ...received, signal: whole };
  const outcome = await carryOut(deps, about, decision);
  // Beside what Rekey ends itself: a value that two credentials share may be in the hands of a person for one of them.
  const byHand = matches.filter(({ standing }) => standing === 'observed');
  if (decision.act !== 'by-hand' && whole.kind !== 'unusual')
    await recordEach(deps, about, oneOfEach(byHand), 'observed', 'signal-by-hand');
  // A person who scans again after the credential was registered must not hear that it was taken before. A source's is
  // marked whatever came of it: a replay of it would take of the budget.
  const isForgotten = outcome.act === 'nothing' && policy.perHour === undefined;
  if (!isForgotten) await remember(deps, whole, matches, decision.act);
  return outcome;
}

const OVER_BUDGET: SignalOutcome = { act: 'over-budget', credentials: [] };
/** So many signals are looked at for each one that may do something. */
const LOOKS = 50;

/** There is no budget for people. */
async function mayTake(
  { signals }: SignalDeps,
  budget: string,
  perHour: number | undefined,
  times = 1,
): Promise<boolean> {
  return perHour === undefined || signals.take(budget, perHour * times);
}

/** With the value of its alert. */
async function completed(deps: SignalDeps, signal: Signal): Promise<Signal> {
  if (signal.alert === undefined) return signal;
  const alert = await deps.alerts.read(signal.alert);
  return alert === undefined ? signal : withAlert(signal, alert);
}

/** The refusal of what is above the budget of its source. */
export function overBudget(source: string): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `more signals of ${source} than are taken in an hour; this one was not`,
    {
      remedy: 'send it again within the next hour; docs/runbook.md says what to look at',
    },
  );
}

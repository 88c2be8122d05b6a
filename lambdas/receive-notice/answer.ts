import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { Signal } from '../../shared/domain/signals/signal.ts';
import type { SignalDeps, SignalOutcome } from '../../shared/engine/signals/deps.ts';
import { overBudget, receiveSignal } from '../../shared/engine/signals/receive.ts';

/** What has become of the signals of one event. */
export interface Noticed {
  readonly outcomes: readonly (SignalOutcome & { readonly signal: Signal })[];
  /** Why one of them could not be carried out, or was refused: the event is given again. */
  readonly error?: unknown;
}

/** Takes each signal of an event by itself: one that fails keeps none of the others from being acted on. */
export async function takeEach(
  { deps, policy }: { readonly deps: SignalDeps; readonly policy: SignalPolicy },
  signals: readonly Signal[],
): Promise<Noticed> {
  const outcomes: (SignalOutcome & { signal: Signal })[] = [];
  const errors: unknown[] = [];
  // One after the other: of two that are about one credential the second one sees what the first has begun.
  for (const signal of signals) {
    const { source } = signal;
    try {
      const outcome = await receiveSignal(deps, { signal, actor: `signal:${source}`, policy });
      outcomes.push({ ...outcome, signal });
      if (outcome.act === 'over-budget') errors.push(overBudget(source));
    } catch (error) {
      errors.push(error);
    }
  }
  return { outcomes, ...(errors.length === 0 ? {} : { error: errors[0] }) };
}

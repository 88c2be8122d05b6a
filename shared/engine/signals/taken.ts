import { toInstant } from '../../domain/clock.ts';
import type { Decision, SignalMatch } from '../../domain/signals/decide.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import { isSettled, livesOn } from '../../domain/signals/taken.ts';
import type { SignalStore } from '../../ports/signals.ts';
import { matchesOf, type MatchDeps } from './match.ts';

/** What signals are remembered with. */
interface TakenDeps extends MatchDeps {
  readonly signals: Pick<SignalStore, 'taken' | 'mark' | 'held'>;
  readonly clock: () => number;
}

/** The signal where it is to be taken: for the first time, or anew. */
export async function asNew(deps: TakenDeps, signal: Signal): Promise<Signal | undefined> {
  const before = await deps.signals.taken(signal.source, signal.id);
  if (before === undefined) return signal;
  if (!isSettled(before, deps.clock())) return undefined;
  const next = { ...signal, round: before.round + 1 };
  if (before.looked === true) return next;
  // What people have decided stands, and what waits for them waits once.
  const held = await deps.signals.held(tokenOf({ ...signal, round: before.round }));
  if (held !== undefined && held.status !== 'approved') return undefined;
  const known = [...new Set([...signal.fingerprints, ...before.fingerprints])];
  // In the name of the next one: what the last one's own emergency has ended must not look alive.
  const matches = await matchesOf(deps, {}, { ...next, fingerprints: known });
  return matches.some(livesOn) ? next : undefined;
}

/** Remembers a signal with what it has led to. Nothing is kept of a value that is nobody's. */
export async function remember(
  { signals, clock }: TakenDeps,
  { source, id, round = 0, undated = false }: Signal,
  matches: readonly SignalMatch[],
  act: Decision['act'],
): Promise<void> {
  const taken = {
    at: toInstant(clock()),
    round,
    fingerprints: [...new Set(matches.flatMap(fingerprintsOf))],
    ...(act === 'look' ? { looked: true } : {}),
  };
  await signals.mark(source, id, taken, undated);
}

function fingerprintsOf(match: SignalMatch): string[] {
  const found = 'family' in match ? match.token : match.key;
  return found === undefined ? [] : [found.fingerprint];
}

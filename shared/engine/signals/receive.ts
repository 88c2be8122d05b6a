import { RekeyError } from '../../domain/errors.ts';
import { standingOf } from '../../domain/leak.ts';
import { decide, oneOfEach, type CredentialMatch, type SignalMatch } from '../../domain/signals/decide.ts';
import { withAlert } from '../../domain/signals/github.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import { carryOut, namesOf } from './carry-out.ts';
import type { Received, SignalDeps, SignalOutcome } from './deps.ts';
import { familyMatches } from './families.ts';
import { recordEach } from './notes.ts';

/**
 * Takes a signal of a source that is known. What was taken before is dropped; what is above the budget of its source is refused
 * and changes nothing. It is marked as taken at the end: whatever dies in between is joined by the repetition, under the same
 * ids.
 */
export async function receiveSignal(deps: SignalDeps, received: Received): Promise<SignalOutcome> {
  const { signal, policy, dryRun = false } = received;
  const { source, id } = signal;
  if (!dryRun) {
    if (await deps.signals.seen(source, id)) return { act: 'repeated', credentials: [] };
    if (!(await mayTake(deps, `${source}#LOOKED`, policy.perHour, LOOKS))) return OVER_BUDGET;
  }
  const whole = await completed(deps, signal);
  const matches = whole === undefined ? [] : await matchesOf(deps, received, whole);
  const decision = whole === undefined ? { act: 'nothing' as const } : decide(whole, matches, policy);
  // Made-up values that somebody has put where a source finds them take nothing from those that are ours.
  if (!dryRun && decision.act !== 'nothing' && !(await mayTake(deps, source, policy.perHour)))
    return OVER_BUDGET;
  const outcome =
    dryRun || whole === undefined
      ? { act: decision.act, ...namesOf(decision) }
      : await carryOut(deps, { ...received, signal: whole }, decision);
  // Beside what Rekey ends itself: a value that two credentials share may be in the hands of a person for one of them.
  const byHand = matches.filter(({ standing }) => standing === 'observed');
  if (!dryRun && decision.act !== 'by-hand' && whole !== undefined)
    await recordEach(deps, { ...received, signal: whole }, oneOfEach(byHand), 'observed', 'signal-by-hand');
  // A person who scans again after the credential was registered must not hear that it was taken before. A source's is
  // marked whatever came of it: a replay of it would take of the budget.
  const isForgotten = outcome.act === 'nothing' && policy.perHour === undefined;
  if (!dryRun && !isForgotten) await deps.signals.mark(source, id);
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

/** With the value of its alert; undefined where that tells that nothing is to be done. */
async function completed(deps: SignalDeps, signal: Signal): Promise<Signal | undefined> {
  if (signal.alert === undefined) return signal;
  const alert = await deps.alerts.read(signal.alert);
  return alert === undefined ? signal : withAlert(signal, alert);
}

async function matchesOf(
  { ledger, families }: SignalDeps,
  { names = {} }: Received,
  signal: Signal,
): Promise<SignalMatch[]> {
  const [keys, ofFamilies] = await Promise.all([
    Promise.all(signal.fingerprints.map((each) => ledger.byFingerprint(each))),
    familyMatches(families, signal.fingerprints),
  ]);
  const byValue = await Promise.all(
    keys.flat().map(async (key): Promise<CredentialMatch[]> => {
      const credential = await ledger.credential(key.credentialId);
      const standing = standingOf(key, credential, tokenOf(signal));
      return credential === undefined || standing === 'gone' ? [] : [{ credential, standing, key }];
    }),
  );
  const name = signal.subject === undefined ? undefined : ownValue(names, signal.subject);
  const id = name === undefined ? undefined : await ledger.idByName(name);
  const named = id === undefined ? undefined : await ledger.credential(id);
  return [
    ...byValue.flat(),
    ...ofFamilies,
    ...(named === undefined
      ? []
      : [
          {
            credential: named,
            standing: named.adoption === 'observed' ? ('observed' as const) : ('live' as const),
          },
        ]),
  ];
}

/** A name of a prototype maps to nothing. */
function ownValue(names: Readonly<Record<string, string>>, subject: string): string | undefined {
  return Object.hasOwn(names, subject) ? names[subject] : undefined;
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

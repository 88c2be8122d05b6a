import { anomalyOf, reasonOf, type Suspicion } from '../../domain/anomalies/suspicion.ts';
import { toInstant, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import type { SignalPolicy } from '../../domain/signals/decide.ts';
import { digestOf, type Signal } from '../../domain/signals/signal.ts';
import type { Baselines } from '../../ports/baselines.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { SignalDeps, SignalOutcome } from '../signals/deps.ts';
import { receiveSignal } from '../signals/receive.ts';

/** What suspicions are weighed with. */
export interface WeighDeps {
  readonly baselines: Pick<Baselines, 'suspicions' | 'weighed'>;
  readonly ledger: Pick<Ledger, 'idBySecret' | 'credential'>;
  readonly signals: SignalDeps;
  readonly policy: SignalPolicy;
  readonly clock: () => number;
}

/** What has become of suspicions, by number; those that wait are weighed an hour later at the latest. */
export interface Weighed {
  readonly told: number;
  readonly explained: number;
  readonly waiting: number;
  /** More than the source may have within the hour. */
  readonly overBudget: number;
}

/** So many are looked at in one run: more than a flood within its budget brings. */
const AT_ONCE = 5000;

/** The name under which Rekey's own rules send signals. */
const SOURCE = 'anomaly';

/**
 * Weighs what was found unusual: what the declaration explains is dropped, the rest of each credential is one signal, at most one
 * an hour. What comes on top waits for the next hour and is told together. A suspicion waits until its signal was told and
 * carried out.
 * @throws what one credential has failed with, once all others had their turn
 */
export async function weighSuspicions(deps: WeighDeps): Promise<Weighed> {
  const result = { told: 0, explained: 0, waiting: 0, overBudget: 0 };
  const failures: unknown[] = [];
  for (const [secret, suspicions] of bySecret(await deps.baselines.suspicions(AT_ONCE))) {
    try {
      const id = await deps.ledger.idBySecret(secret);
      const credential = id === undefined ? undefined : await deps.ledger.credential(id);
      if (credential === undefined) await forget(deps, result, 'explained', suspicions);
      else failures.push(...(await weigh(deps, result, credential, suspicions)));
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return result;
}

type Counted = { -readonly [outcome in keyof Weighed]: number };

/** Weighs those of one credential. What was told before and could not be carried out keeps nothing new from being told. */
async function weigh(
  deps: WeighDeps,
  result: Counted,
  credential: Credential,
  suspicions: readonly Suspicion[],
): Promise<unknown[]> {
  const failures: unknown[] = [];
  const before = await deps.signals.signals.told(credential.id);
  const isTold = ({ id, at }: Suspicion): boolean =>
    before !== undefined && before.suspicions.includes(id) && at <= before.at;
  const told = suspicions.filter(isTold);
  if (before !== undefined && told.length > 0) {
    try {
      await send(deps, { ...signalOf(credential, before.signal), observedAt: observed(told) }, true);
      await forget(deps, result, 'told', told);
    } catch (error) {
      failures.push(error);
    }
  }
  const fresh = suspicions.filter((each) => !isTold(each));
  // What is told last takes the place of what was told before: until that is forgotten it is told of no more.
  const unfinished = failures.length === 0 ? [] : told;
  const outcome = await tell(deps, credential, fresh, unfinished);
  if (outcome === 'told' || outcome === 'explained')
    await forget(deps, result, outcome, outcome === 'told' ? [...unfinished, ...fresh] : fresh);
  else result[outcome] += fresh.length;
  return failures;
}

async function tell(
  deps: WeighDeps,
  credential: Credential,
  suspicions: readonly Suspicion[],
  unfinished: readonly Suspicion[],
): Promise<keyof Weighed> {
  const reasons = suspicions.flatMap((each) => reasonOf(each, credential.holders) ?? []);
  const anomaly = anomalyOf(reasons);
  if (anomaly === undefined) return 'explained';
  const { act } = await send(deps, {
    ...signalOf(credential, digestOf(credential.id, toInstant(deps.clock()).slice(0, 13))),
    anomaly,
    suspicions: [...unfinished, ...suspicions].map(({ id }) => id),
    observedAt: observed(reasons),
  });
  if (act === 'over-budget') return 'overBudget';
  return act === 'repeated' ? 'waiting' : 'told';
}

function signalOf({ name }: Credential, id: string): Omit<Signal, 'observedAt'> {
  return { source: SOURCE, id, kind: 'unusual', fingerprints: [], subject: name, verified: false };
}

function observed(of: readonly { readonly at: Instant }[]): Instant {
  return of.map(({ at }) => at).toSorted()[0] ?? '';
}

async function send({ signals, policy }: WeighDeps, signal: Signal, resumes = false): Promise<SignalOutcome> {
  const name = signal.subject ?? '';
  return receiveSignal(signals, {
    signal,
    actor: `signal:${SOURCE}`,
    policy,
    names: { [name]: name },
    ...(resumes ? { resumes } : {}),
  });
}

async function forget(
  { baselines }: WeighDeps,
  result: Counted,
  outcome: 'told' | 'explained',
  suspicions: readonly Suspicion[],
): Promise<void> {
  for (const suspicion of suspicions) await baselines.weighed(suspicion);
  result[outcome] += suspicions.length;
}

function bySecret(suspicions: readonly Suspicion[]): Map<string, Suspicion[]> {
  const groups = new Map<string, Suspicion[]>();
  for (const each of suspicions) groups.set(each.secret, [...(groups.get(each.secret) ?? []), each]);
  return groups;
}

import { anomalyOf, reasonOf, type Suspicion } from '../../domain/anomalies/suspicion.ts';
import { toInstant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import type { SignalPolicy } from '../../domain/signals/decide.ts';
import { digestOf, type Signal } from '../../domain/signals/signal.ts';
import type { Baselines } from '../../ports/baselines.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { SignalDeps } from '../signals/deps.ts';
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
 * an hour. What comes on top waits for the next hour and is told together. A suspicion waits until its signal was taken.
 * @throws what one credential has failed with, once all others had their turn
 */
export async function weighSuspicions(deps: WeighDeps): Promise<Weighed> {
  const result = { told: 0, explained: 0, waiting: 0, overBudget: 0 };
  const failures: unknown[] = [];
  for (const [secret, suspicions] of bySecret(await deps.baselines.suspicions(AT_ONCE))) {
    try {
      const id = await deps.ledger.idBySecret(secret);
      const credential = id === undefined ? undefined : await deps.ledger.credential(id);
      const outcome = credential === undefined ? 'explained' : await tell(deps, credential, suspicions);
      result[outcome] += suspicions.length;
      if (outcome === 'told' || outcome === 'explained')
        for (const suspicion of suspicions) await deps.baselines.weighed(suspicion);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return result;
}

async function tell(
  { signals, policy, clock }: WeighDeps,
  credential: Credential,
  suspicions: readonly Suspicion[],
): Promise<keyof Weighed> {
  const reasons = suspicions.flatMap((each) => reasonOf(each, credential.holders) ?? []);
  const anomaly = anomalyOf(reasons);
  if (anomaly === undefined) return 'explained';
  const now = toInstant(clock());
  const signal: Signal = {
    source: SOURCE,
    id: digestOf(credential.id, now.slice(0, 13)),
    kind: 'unusual',
    fingerprints: [],
    subject: credential.name,
    anomaly,
    verified: false,
    observedAt: reasons.map(({ at }) => at).toSorted()[0] ?? now,
  };
  const { act } = await receiveSignal(signals, {
    signal,
    actor: `signal:${SOURCE}`,
    policy,
    names: { [credential.name]: credential.name },
  });
  if (act === 'over-budget') return 'overBudget';
  return act === 'repeated' ? 'waiting' : 'told';
}

function bySecret(suspicions: readonly Suspicion[]): Map<string, Suspicion[]> {
  const groups = new Map<string, Suspicion[]>();
  for (const each of suspicions) groups.set(each.secret, [...(groups.get(each.secret) ?? []), each]);
  return groups;
}

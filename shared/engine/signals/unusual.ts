import { toInstant } from '../../domain/clock.ts';
import { credentialsIn, type Decision } from '../../domain/signals/decide.ts';
import { reasonOf, tokenOf } from '../../domain/signals/signal.ts';
import { retrying } from '../patience.ts';
import { loadCredential } from '../state.ts';
import type { Received, SignalDeps } from './deps.ts';

/**
 * Says in the trail of the credential what is unusual, which pages. The signal is taken with the same commit, and its suspicions
 * are told with it, so that a person is told once, whatever dies in between.
 */
export async function tellUnusual(
  deps: SignalDeps,
  { signal, actor }: Received,
  { act, of }: Extract<Decision, { act: 'tell' | 'rotate' }>,
): Promise<void> {
  const { source, id, anomaly, observedAt, suspicions = [] } = signal;
  for (const { credential } of credentialsIn(of)) {
    await retrying(async () => {
      if ((await deps.signals.taken(source, id)) !== undefined) return;
      const before = await loadCredential(deps, credential.id);
      await deps.ledger.commit({
        before,
        after: before,
        taken: { source, id, suspicions },
        records: [
          {
            action: 'anomaly-seen',
            time: toInstant(deps.clock()),
            trigger: { kind: 'signal', actor, reason: reasonOf(signal) },
            correlationId: tokenOf(signal),
            evidence: { outcome: act === 'rotate' ? 'rotating' : 'told', observedAt, ...anomaly },
          },
        ],
      });
    });
  }
}

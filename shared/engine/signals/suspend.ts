import { canSuspend } from '../../domain/capabilities.ts';
import { agentsHit, credentialsIn, isProven, type SignalMatch } from '../../domain/signals/decide.ts';
import type { HeldSignal } from '../../domain/signals/held.ts';
import { incidentOf, tokenOf } from '../../domain/signals/signal.ts';
import type { SuspensionInput } from '../../ports/workflow.ts';
import type { Received, SignalDeps } from './deps.ts';

/**
 * Whether what is held is suspended meanwhile (ADR 045): only a value that its source has shown, and only as far as the source's own
 * cap of suspensions goes, in agents.
 */
export async function maySuspend(
  { signals }: SignalDeps,
  { signal, policy: { suspendHeld = 0 } }: Pick<Received, 'signal' | 'policy'>,
  of: readonly SignalMatch[],
): Promise<boolean> {
  // Nobody stops for what can't be suspended: it takes nothing of the cap, nor do token families.
  const values = credentialsIn(of).filter(({ credential }) => canSuspend(credential));
  if (suspendHeld === 0 || values.length === 0 || !isProven(signal, of)) return false;
  // Whose holders nobody has declared has some all the same.
  const agents = values.reduce((sum, each) => sum + Math.max(1, agentsHit([each])), 0);
  return signals.take(`${signal.source}#SUSPENDED`, suspendHeld, agents, tokenOf(signal));
}

/**
 * Suspends or restores what is held with that, under an id that follows from the signal's: the same again is joined. Restoring is
 * begun anew a minute later, since one that has failed leaves a value out of use that nobody wants to be.
 */
export async function startSuspension(
  { workflow, clock }: Pick<SignalDeps, 'workflow' | 'clock'>,
  { id, suspends, credentials }: HeldSignal,
  action: SuspensionInput['action'],
  by: { readonly actor: string; readonly reason: string },
): Promise<void> {
  const values = credentials.flatMap(({ credentialId, type, handle }) =>
    handle === undefined ? [] : [{ credentialId, type, handle }],
  );
  if (suspends !== true || values.length === 0) return;
  const minute = Math.floor(clock() / 60_000);
  await workflow.startSuspension(action === 'suspend' ? id : `${id}-restore-${minute}`, {
    action,
    signalId: id,
    incidentId: incidentOf(id),
    ...by,
    values,
  });
}

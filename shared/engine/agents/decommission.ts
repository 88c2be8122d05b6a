import type { Decommissioning, Pact } from '../../domain/agents.ts';
import { toInstant } from '../../domain/clock.ts';
import { decommissioned } from '../../domain/pact.ts';
import { untilCommitted } from '../state.ts';
import type { AgentDeps } from './deps.ts';

/** An order to take an agent out of service. */
export interface DecommissionRequest extends Omit<Decommissioning, 'at'> {
  readonly agent: string;
  readonly dryRun: boolean;
}

/**
 * Takes an agent out of service: from then on it opens no session, acknowledges nothing, gets no certificate and registers no
 * pact, and no window waits for it. The same again changes nothing, and the first time counts.
 */
export function decommission(
  { agents, clock }: Pick<AgentDeps, 'agents' | 'clock'>,
  { agent, dryRun, actor, reason, incidentId }: DecommissionRequest,
): Promise<{ readonly changed: boolean; readonly pact: Pact }> {
  return untilCommitted(async () => {
    const before = await agents.pact(agent);
    if (before?.decommissioned !== undefined) return { changed: false, pact: before };
    const pact = decommissioned(agent, before, { at: toInstant(clock()), actor, reason, incidentId });
    if (!dryRun) await agents.putPact(pact);
    return { changed: true, pact };
  });
}

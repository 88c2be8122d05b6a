import { isLost } from '../../domain/agents.ts';
import type { Credential } from '../../domain/credential.ts';
import { inTheWay } from '../../domain/deferral.ts';
import { isOpen, overtakenBy, type Rotation } from '../../domain/rotation.ts';
import { agentsOfCredential } from '../clients.ts';
import { answerCallback } from '../state.ts';
import type { AgentDeps } from './deps.ts';

type WakeDeps = Pick<AgentDeps, 'ledger' | 'agents' | 'workflow' | 'clock'>;

/**
 * Wakes the lifecycle where what an agent has just said may be what it waits for: the last session that stood against
 * the beginning, or the last acknowledgement of a window. The decision is the lifecycle's own, on fresh state; it is
 * woken once for many agents and not once for each, since every look costs it events (hard decision 5).
 */
export async function wakeWindow(deps: WakeDeps, credentialId: string, rotationId: string): Promise<void> {
  const credential = await deps.ledger.credential(credentialId);
  const rotation = await deps.ledger.rotation(credentialId, rotationId);
  if (credential === undefined || rotation?.callback === undefined) return;
  if (overtakenBy(rotation, credential) !== undefined) return;
  if (rotation.callback.awaiting === 'rotate') {
    if (rotation.phase !== 'announced' || rotation.deferred === undefined) return;
    const left = inTheWay(await agentsOfCredential(deps, credential), credential.name, deps.clock());
    if (left.length === 0) await answerCallback(deps, rotation, 'rotate');
    return;
  }
  // What soaks ends by time, and holders have nothing more to prove.
  if (!isOpen(rotation)) return;
  if (await allHaveSpoken(deps, credential, rotation)) await answerCallback(deps, rotation, 'verify');
}

/** Whether each running session of the window's agents has acknowledged, and its earliest end has come. */
async function allHaveSpoken(
  deps: WakeDeps,
  credential: Credential,
  { id, window }: Rotation,
): Promise<boolean> {
  if (window === undefined || deps.clock() < Date.parse(window.earliestClose)) return false;
  const [acknowledgements, agents] = await Promise.all([
    deps.agents.acknowledgements({ rotation: id, opensAt: window.opensAt }),
    agentsOfCredential(deps, credential),
  ]);
  const moved = new Set(
    acknowledgements
      .filter(({ persisted, contradictedAt }) => persisted && contradictedAt === undefined)
      .map(({ session }) => session),
  );
  const now = deps.clock();
  return agents
    .flatMap(({ sessions }) => sessions)
    .every((session) => session.closedAt !== undefined || isLost(session, now) || moved.has(session.id));
}

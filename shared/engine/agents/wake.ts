import { isLost, type Session } from '../../domain/agents.ts';
import type { Credential } from '../../domain/credential.ts';
import { overtakenBy, type Rotation } from '../../domain/rotation.ts';
import { answerCallback } from '../state.ts';
import type { AgentDeps } from './deps.ts';

/**
 * Wakes the lifecycle where what an agent has just said may be what it waits for: the last session that stood against
 * the beginning, or the last acknowledgement of a window. The decision is the lifecycle's own, on fresh state; it is
 * woken once for many agents and not once for each, since every look costs it events (hard decision 5).
 */
export async function wakeWindow(
  deps: Pick<AgentDeps, 'ledger' | 'agents' | 'workflow' | 'clock'>,
  credentialId: string,
  rotationId: string,
): Promise<void> {
  const credential = await deps.ledger.credential(credentialId);
  const rotation = await deps.ledger.rotation(credentialId, rotationId);
  if (credential === undefined || rotation?.callback === undefined) return;
  if (overtakenBy(rotation, credential) !== undefined) return;
  if (rotation.callback.awaiting === 'rotate') {
    if (rotation.phase === 'announced' && (await gapHasCome(deps, rotation)))
      await answerCallback(deps, rotation, 'rotate');
    return;
  }
  if (await allHaveSpoken(deps, credential, rotation)) await answerCallback(deps, rotation, 'verify');
}

/** Whether nobody is in session any more that the rotation was deferred for. */
async function gapHasCome(
  { agents, clock }: Pick<AgentDeps, 'agents' | 'clock'>,
  { deferred }: Rotation,
): Promise<boolean> {
  if (deferred === undefined) return false;
  const sessions = await Promise.all(deferred.agents.map(async (agent) => agents.sessions(agent)));
  return sessions.flat().every((session) => !isRunning(session, clock()));
}

/** Whether each running session of the window's agents has acknowledged, and its earliest end has come. */
async function allHaveSpoken(
  { agents, clock }: Pick<AgentDeps, 'agents' | 'clock'>,
  { holders }: Credential,
  { id, window }: Rotation,
): Promise<boolean> {
  if (window === undefined || clock() < Date.parse(window.earliestClose)) return false;
  const clients = holders.filter(({ kind }) => kind === 'client');
  const [acknowledgements, sessions] = await Promise.all([
    agents.acknowledgements({ rotation: id, opensAt: window.opensAt }),
    Promise.all(clients.map(async ({ name }) => agents.sessions(name))),
  ]);
  const moved = new Set(
    acknowledgements
      .filter(({ persisted, contradictedAt }) => persisted && contradictedAt === undefined)
      .map(({ session }) => session),
  );
  return sessions.flat().every((session) => !isRunning(session, clock()) || moved.has(session.id));
}

function isRunning(session: Session, now: number): boolean {
  return session.closedAt === undefined && !isLost(session, now);
}

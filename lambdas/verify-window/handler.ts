import { awaitWindow, verifyWindow, type VerifyAnswer } from '../../shared/engine/window.ts';
import { composeEngine, createLogger } from '../compose.ts';

type Event =
  | { action: 'await'; credentialId: string; rotationId: string; taskToken: string }
  | { action: 'verify'; credentialId: string; rotationId: string };

const logger = createLogger();
const engine = composeEngine();

/** The acceptance window: leaves the callback, or looks at the evidence and decides. */
export async function handler(event: Event): Promise<VerifyAnswer | undefined> {
  const { action, credentialId, rotationId } = event;
  if (event.action === 'await') {
    await awaitWindow(engine, event);
    return undefined;
  }
  const answer = await verifyWindow(engine, event);
  logger.info('window looked at', { action, credentialId, rotationId, ...answer });
  return answer;
}

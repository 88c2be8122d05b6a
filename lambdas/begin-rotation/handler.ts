import { awaitGap } from '../../shared/engine/deferral.ts';
import { enterLifecycle, startRotation, type AnnounceAnswer } from '../../shared/engine/requests.ts';
import { composeEngine, createLogger } from '../compose.ts';

type Event =
  | { action: 'announce'; credentialId: string; rotationId: string }
  | { action: 'rotate'; credentialId: string; rotationId: string; taskToken: string; defers?: true }
  | { action: 'await-gap'; credentialId: string; rotationId: string; taskToken: string };

const logger = createLogger();
const engine = composeEngine();

/** First states of the lifecycle: where the rotation stands, and the call to Secrets Manager. */
export async function handler(event: Event): Promise<AnnounceAnswer | undefined> {
  const { action, credentialId, rotationId } = event;
  logger.info('lifecycle begins', { action, credentialId, rotationId });
  if (event.action === 'announce') return enterLifecycle(engine, event);
  if (event.action === 'rotate') await startRotation(engine, event);
  else await awaitGap(engine, event);
  return undefined;
}

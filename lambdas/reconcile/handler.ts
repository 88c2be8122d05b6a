import { reconcile, reconcileAll } from '../../shared/engine/reconcile.ts';
import { rotateLost } from '../../shared/engine/lost.ts';
import { composeEngine, composeHeartbeats, createLogger, typeSetting } from '../compose.ts';

const logger = createLogger();
const engine = composeEngine();
const heartbeats = composeHeartbeats();
const type = typeSetting();

/** By schedule: every rotation that has stood still too long, and what died with what it was made under. From the lifecycle: the one that failed there. */
export async function handler(event: { credentialId?: string; rotationId?: string }): Promise<object> {
  const { credentialId, rotationId } = event;
  if (credentialId === undefined || rotationId === undefined) {
    const answers = await reconcileAll(engine, type);
    logger.info('reconciled', { answers });
    const lost = await rotateLost(engine, type);
    if (lost.length > 0) logger.warn('ended with what they were made under', { lost });
    await heartbeats.beat(`reconcile-${type}`);
    return { answers };
  }
  const answer = await reconcile(engine, { credentialId, rotationId });
  logger.info('reconciled one', { credentialId, rotationId, ...answer });
  return answer;
}

import { rollback, type RollbackAnswer } from '../../shared/engine/rollback.ts';
import { composeEngine, createLogger } from '../compose.ts';

const logger = createLogger();
const engine = composeEngine();

/** Brings the old credential back and opens the window for the way back. */
export async function handler(event: { credentialId: string; rotationId: string }): Promise<RollbackAnswer> {
  const answer = await rollback(engine, event);
  logger.info('rolled back', { ...event, ...answer });
  return answer;
}

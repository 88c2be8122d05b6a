import { retire, type RetireAnswer } from '../../shared/engine/retire.ts';
import { composeEngine, createLogger } from '../compose.ts';

const logger = createLogger();
const engine = composeEngine();

/** Ends the loser of a rotation: suspends, later revokes. */
export async function handler(event: { credentialId: string; rotationId: string }): Promise<RetireAnswer> {
  const answer = await retire(engine, event);
  logger.info('retirement step done', { ...event, ...answer });
  return answer;
}

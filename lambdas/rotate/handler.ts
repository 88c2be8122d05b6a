import { rotationStep, type RotationStep } from '../../shared/engine/rotation-step.ts';
import { composeEngine, createLogger, errorFields } from '../compose.ts';

const logger = createLogger();
const engine = composeEngine();

/** The rotation function of a credential type: the four steps, as Secrets Manager calls them. */
export async function handler(event: RotationStep): Promise<void> {
  const fields = { step: event.Step, secret: event.SecretId, token: event.ClientRequestToken };
  try {
    await rotationStep(engine, event);
    logger.info('rotation step done', fields);
  } catch (error) {
    logger.error('rotation step failed', { ...fields, ...errorFields(error) });
    throw error;
  }
}

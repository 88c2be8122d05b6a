import { RekeyError } from '../../shared/domain/errors.ts';
import { createLogger, errorFields } from '../compose.ts';
import { answer, describe, summary, type Answer, type Request } from './requests.ts';

const logger = createLogger();

/**
 * Registers a credential, looks at one, or does at its secret what was decided. Refusals are answers, so that
 * their field and remedy arrive whole.
 */
export async function handler(event: Request): Promise<Answer | { error: object }> {
  try {
    const done = await answer(event);
    logger.info('request done', { ...describe(event), ...summary(done) });
    return done;
  } catch (error) {
    logger.error('request refused', { ...describe(event), ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}

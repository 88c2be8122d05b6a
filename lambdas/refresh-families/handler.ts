import { RekeyError } from '../../shared/domain/errors.ts';
import { refreshDue } from '../../shared/engine/families/sweep.ts';
import { composeHeartbeats, createLogger, errorFields } from '../compose.ts';
import { composeFamilies } from './compose.ts';
import { answer, describe, type Request } from './requests.ts';

const logger = createLogger();
const parts = composeFamilies();
const heartbeats = composeHeartbeats();

/** A run ends well before the next one begins. */
const RUN_MS = 45_000;

/**
 * The coordinator of token families: by schedule it refreshes what is due, and it does what `control-api` asks for. Refusals
 * are answers, so that their field and remedy arrive whole. What is unexpected fails the run, which pages.
 */
export async function handler(request: Request): Promise<object> {
  if (request.action === undefined) return sweep();
  try {
    const done = await answer(parts, request);
    logger.info('request done', describe(request));
    return done;
  } catch (error) {
    logger.error('request refused', { ...describe(request), ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}

async function sweep(): Promise<object> {
  const swept = await refreshDue(parts.deps, Date.now() + RUN_MS);
  const { refreshed, consentNeeded, failed, left } = swept;
  // The dashboard adds these up (infra/stacks/monitoring.ts); a test holds the two equal.
  const counts = {
    refreshed: refreshed.length,
    failed: failed.length,
    consentNeeded: consentNeeded.length,
    left,
  };
  logger.info('families refreshed', { ...swept, counts });
  if (swept.failed.some(({ expected }) => !expected))
    throw new RekeyError('ERR_UNAVAILABLE', 'some families could not be looked at: the log names them');
  await heartbeats.beat('refresh-families');
  return swept;
}

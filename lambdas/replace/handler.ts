import type { Emergency } from '../../shared/engine/incident.ts';
import { generate, sweepLate, update, validate } from '../../shared/engine/replace.ts';
import { composeEngine, createLogger } from '../compose.ts';

type Event = Emergency & { readonly step: keyof typeof STEPS };

const STEPS = { generate, validate, vault: update, sweep: sweepLate };
const logger = createLogger();
const engine = composeEngine();

/** The replacement of a revoked credential, a step at a time. */
export async function handler(event: Event): Promise<void> {
  const { step, credentialId, incidentId } = event;
  await STEPS[step](engine, event);
  logger.info('replacement step done', { step, credentialId, incidentId });
}

import { RekeyError } from '../../shared/domain/errors.ts';
import type { Deactivation } from '../../shared/domain/evidence.ts';
import { deactivationOf, type HandleRef } from '../../shared/engine/leak.ts';
import { awaitWindow, verifyWindow, type VerifyAnswer } from '../../shared/engine/window.ts';
import { composeEngine, createLogger, errorFields } from '../compose.ts';

type Event =
  | { action: 'await'; credentialId: string; rotationId: string; taskToken: string }
  | { action: 'verify'; credentialId: string; rotationId: string }
  | ({ action: 'look' } & HandleRef);

const logger = createLogger();
const engine = composeEngine();

/** The acceptance window: leaves the callback, or looks at the evidence and decides. For the API it only looks. */
export async function handler(
  event: Event,
): Promise<VerifyAnswer | Deactivation | { error: object } | undefined> {
  if (event.action === 'look') return look(event);
  if (event.action === 'await') {
    await awaitWindow(engine, event);
    return undefined;
  }
  const { action, credentialId, rotationId } = event;
  const answer = await verifyWindow(engine, event);
  logger.info('window looked at', { action, credentialId, rotationId, ...answer });
  return answer;
}

/** What the upstream shows of a handle that was ended. Refusals are answers, so that they arrive whole. */
async function look({ credentialId, handle }: HandleRef): Promise<Deactivation | { error: object }> {
  try {
    return await deactivationOf(engine, { credentialId, handle });
  } catch (error) {
    logger.error('ended handle not seen', { credentialId, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}

import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { isRekeyError } from '../../shared/domain/errors.ts';
import { createLogger, errorFields } from '../compose.ts';
import { answer, type Handled } from './answer.ts';
import { createSignalServices } from './compose.ts';

const logger = createLogger();
const services = createSignalServices();

/** The API of signals: HTTP API, payload 2.0, each route open to whoever proves to be its source. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const handled = await answer(event, services);
  tell(handled, event.requestContext.requestId);
  return handled.response;
}

/** Alarms count these messages (infra/stacks/monitoring.ts); a test holds the two equal. */
function tell({ source, outcomes, error }: Handled, requestId: string): void {
  for (const { act, credentials, families, id } of outcomes) {
    const about = { source, act, credentials, families, id, requestId };
    if (act === 'over-budget') logger.warn('signal over budget', about);
    else if (act === 'look') logger.warn('signal not identified', about);
    else logger.info('signal received', about);
  }
  if (error === undefined || isRekeyError(error, 'ERR_CAPACITY')) return;
  if (isRekeyError(error, 'ERR_FORBIDDEN', 'ERR_REQUEST', 'ERR_NOT_FOUND')) {
    logger.warn('signal refused', { source, requestId, ...errorFields(error) });
  } else logger.error('signal failed', { source, requestId, ...errorFields(error) });
}

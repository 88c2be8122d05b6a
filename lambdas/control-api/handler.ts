import { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { answer } from './routes.ts';
import { createServices } from './services.ts';

const logger = new Logger({ serviceName: 'control-api' });
const services = createServices();

/** The control API: HTTP API with IAM authorization, payload 2.0. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { response, actor, unexpected } = await answer(event, services);
  const { method, path } = event.requestContext.http;
  const about = {
    method,
    path,
    actor,
    status: response.statusCode,
    requestId: event.requestContext.requestId,
  };
  if (unexpected === undefined) logger.info('answered', about);
  else
    logger.error('failed', {
      ...about,
      error: unexpected instanceof Error ? unexpected : new Error('something else than an error was thrown'),
    });
  return response;
}

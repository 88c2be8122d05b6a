import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { createLogger, errorFields } from '../compose.ts';
import { answer } from './routes.ts';
import { createServices } from './services.ts';

const logger = createLogger();
const services = createServices();

/** The agent API: HTTP API with IAM authorization, payload 2.0. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { response, actor, refusal, unexpected } = await answer(event, services);
  const { method, path } = event.requestContext.http;
  const about = {
    method,
    path,
    actor,
    status: response.statusCode,
    requestId: event.requestContext.requestId,
    ...(refusal === undefined ? {} : { code: refusal }),
  };
  if (unexpected === undefined) logger.info('answered', about);
  else logger.error('failed', { ...about, ...errorFields(unexpected) });
  return response;
}

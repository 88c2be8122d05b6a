import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, setting } from '../compose.ts';
import { answer } from './routes.ts';

const logger = createLogger();
const clock = Date.now;
const directory = new DynamoDbDirectory({
  aws: awsCallsFromEnvironment(process.env),
  table: setting(ENV.directory),
  tenant: setting(ENV.tenant),
  clock,
});

/** The API of verifiers: HTTP API, payload 2.0. Requests are in the access log of the API; only failures are logged here. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { response, unexpected } = await answer(event, { directory, clock });
  if (unexpected !== undefined) {
    const { requestId, http } = event.requestContext;
    logger.error('failed', { method: http.method, path: http.path, requestId, ...errorFields(unexpected) });
  }
  return response;
}

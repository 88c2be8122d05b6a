import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { DynamoDbLeaves } from '../../shared/adapters/dynamodb-leaves.ts';
import { DynamoDbRevocations } from '../../shared/adapters/dynamodb-revocations.ts';
import type { CertificateStatuses } from '../../shared/engine/certificates/status.ts';
import { kmsSigner } from '../../shared/http/kms-signer.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, optionalSetting, setting } from '../compose.ts';
import { answer } from './routes.ts';

const logger = createLogger();
const clock = Date.now;
const aws = awsCallsFromEnvironment(process.env);
const store = { aws, table: setting(ENV.directory), tenant: setting(ENV.tenant), clock };
const directory = new DynamoDbDirectory(store);
const revocations = new DynamoDbRevocations(store);
let made: Promise<CertificateStatuses> | undefined;

/** Loaded with the first question: who reads keys and tokens needs nothing of it. */
async function loaded(): Promise<CertificateStatuses> {
  const { CertificateStatuses } = await import('../../shared/engine/certificates/status.ts');
  const key = optionalSetting(ENV.statusKey);
  const signer = key === undefined ? undefined : kmsSigner(aws, key);
  return new CertificateStatuses({ leaves: new DynamoDbLeaves(store), revocations, signer, clock });
}

/** The API of verifiers: HTTP API, payload 2.0. Requests are in the access log of the API; only failures are logged here. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { response, unexpected } = await answer(event, {
    directory,
    revocations,
    clock,
    statuses: async () => (made ??= loaded()),
  });
  if (unexpected !== undefined) {
    const { requestId, http } = event.requestContext;
    logger.error('failed', { method: http.method, path: http.path, requestId, ...errorFields(unexpected) });
  }
  return response;
}

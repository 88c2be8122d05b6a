import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { DynamoDbLeaves } from '../../shared/adapters/dynamodb-leaves.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import type { IssuingDeps } from '../../shared/engine/certificates/issue.ts';
import { kmsSigner } from '../../shared/http/kms-signer.ts';
import { isOfPrivateCa, privateAuthority } from '../../shared/http/private-ca.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, setting } from '../compose.ts';
import { answer } from './route.ts';

const logger = createLogger();
const deps = createDeps();

/** The route of the agent API that issues certificates: HTTP API with IAM authorization, payload 2.0. */
export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { response, about, unexpected } = await answer(event, deps);
  const { requestId } = event.requestContext;
  const fields = { requestId, status: response.statusCode, ...about };
  if (unexpected === undefined) logger.info('answered', fields);
  else logger.error('failed', { ...fields, ...errorFields(unexpected) });
  return response;
}

function createDeps(): IssuingDeps {
  const aws = awsCallsFromEnvironment(process.env);
  const clock = Date.now;
  const own = { aws, tenant: setting(ENV.tenant), clock };
  const published = { ...own, table: setting(ENV.directory) };
  const ledger = { ...own, table: setting(ENV.table) };
  return {
    ledger: new DynamoDbLedger(ledger),
    agents: new DynamoDbAgents(ledger),
    directory: new DynamoDbDirectory(published),
    leaves: new DynamoDbLeaves(published),
    signer: (keyArn) => kmsSigner(aws, keyArn),
    privateAuthority: (arn) => (isOfPrivateCa(arn) ? privateAuthority(aws, arn) : undefined),
    clock,
  };
}

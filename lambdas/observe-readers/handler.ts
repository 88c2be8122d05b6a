import type { SQSEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { observeReads } from '../../shared/engine/readers.ts';
import { ENV, ownRoles } from '../../shared/names.ts';
import { createLogger, listSetting, setting } from '../compose.ts';

const logger = createLogger();
const readers = new DynamoDbReaderLog({
  aws: awsCallsFromEnvironment(process.env),
  table: setting(ENV.table),
  tenant: setting(ENV.tenant),
  clock: Date.now,
});
const scope = {
  account: setting(ENV.account),
  region: setting('AWS_REGION'),
  prefixes: [setting(ENV.secretPrefix), ...listSetting(ENV.adoptPrefixes)],
  ownRoles: ownRoles(setting(ENV.stage)),
};

/** Keeps who has read secrets, from CloudTrail's records by way of a queue: proposals of holders. */
export async function handler(event: SQSEvent): Promise<void> {
  const records = event.Records.map(({ body }) => body);
  const answer = await observeReads({ readers }, records, scope);
  logger.info('readers observed', { records: records.length, ...answer });
}

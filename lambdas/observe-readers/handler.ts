import type { SQSEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbBaselines } from '../../shared/adapters/dynamodb-baselines.ts';
import { DynamoDbLedgerReads } from '../../shared/adapters/dynamodb-ledger-reads.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { observeReads } from '../../shared/engine/readers.ts';
import { ENV, ownRoles } from '../../shared/names.ts';
import { createLogger, listSetting, optionalSetting, setting } from '../compose.ts';

const logger = createLogger();
const store = {
  aws: awsCallsFromEnvironment(process.env),
  table: setting(ENV.table),
  tenant: setting(ENV.tenant),
  clock: Date.now,
};
const readers = new DynamoDbReaderLog(store);
const baselines = optionalSetting(ENV.unusual) === undefined ? undefined : new DynamoDbBaselines(store);
const ledger = new DynamoDbLedgerReads(store);
const log =
  optionalSetting(ENV.keepReads) === undefined
    ? undefined
    : {
        uses: new DynamoDbUpstreamUses(store),
        ownerOf: (secret: string) => ledger.idBySecret(secret),
      };
const scope = {
  account: setting(ENV.account),
  region: setting('AWS_REGION'),
  prefixes: [setting(ENV.secretPrefix), ...listSetting(ENV.adoptPrefixes)],
  ownRoles: ownRoles(setting(ENV.stage)),
};

/** Keeps who has read secrets, from CloudTrail's records by way of a queue: proposals of holders; and what is unusual of it. */
export async function handler(event: SQSEvent): Promise<void> {
  const records = event.Records.map(({ body }) => body);
  const answer = await observeReads({ readers, baselines, log }, records, scope);
  logger.info('readers observed', { records: records.length, ...answer });
}

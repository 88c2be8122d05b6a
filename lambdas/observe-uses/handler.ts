import type { SQSEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedgerReads } from '../../shared/adapters/dynamodb-ledger-reads.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { observeCalls } from '../../shared/engine/upstream-uses.ts';
import { ENV } from '../../shared/names.ts';
import { identityOf } from '../../shared/providers/aws-iam/target.ts';
import { createLogger, setting } from '../compose.ts';

const logger = createLogger();
const aws = awsCallsFromEnvironment(process.env);
const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock: Date.now };
const ledger = new DynamoDbLedgerReads(store);
const deps = {
  uses: new DynamoDbUpstreamUses(store),
  ownerOf: (user: string) => ledger.idByTarget(identityOf({ user })),
};
const scope = { account: setting(ENV.account) };

/**
 * Keeps what CloudTrail tells of access keys, by way of a queue. By schedule, without records, it makes a call that CloudTrail
 * has to tell of: what comes back covers the time in which nobody used a key.
 */
export async function handler(event: Partial<SQSEvent>): Promise<void> {
  if (event.Records === undefined) return callAws();
  const records = event.Records.map(({ body }) => body);
  const answer = await observeCalls(deps, records, scope);
  logger.info('uses observed', { records: records.length, ...answer });
}

/** GetCallerIdentity needs no right and changes nothing. */
async function callAws(): Promise<void> {
  await aws.request('sts', {
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'Action=GetCallerIdentity&Version=2011-06-15',
  });
}

import type { Context, SQSEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbBaselines } from '../../shared/adapters/dynamodb-baselines.ts';
import { DynamoDbLedgerReads } from '../../shared/adapters/dynamodb-ledger-reads.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { judgeUses } from '../../shared/engine/anomalies/uses.ts';
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
const agents = new DynamoDbAgents(store);
const upstreamUses = new DynamoDbUpstreamUses(store);
const log =
  optionalSetting(ENV.keepReads) === undefined
    ? undefined
    : { uses: upstreamUses, ownerOf: (secret: string) => ledger.idBySecret(secret) };
const scope = {
  account: setting(ENV.account),
  region: setting('AWS_REGION'),
  prefixes: [setting(ENV.secretPrefix), ...listSetting(ENV.adoptPrefixes)],
  ownRoles: ownRoles(setting(ENV.stage)),
};

/** Kept for the last page of credentials. */
const RESERVE_MS = 20_000;

/**
 * Keeps who has read secrets, from CloudTrail's records by way of a queue: proposals of holders; and what is unusual of it. Or, by
 * schedule, finds what is unusual of what agents have reported.
 */
export async function handler(event: SQSEvent | { action: 'judge-uses' }, context: Context): Promise<void> {
  if ('action' in event) return judge(Date.now() + context.getRemainingTimeInMillis() - RESERVE_MS);
  const records = event.Records.map(({ body }) => body);
  const answer = await observeReads({ readers, baselines, log }, records, scope);
  logger.info('readers observed', { records: records.length, ...answer });
}

async function judge(until: number): Promise<void> {
  if (baselines === undefined) return;
  const answer = await judgeUses({ ledger, upstreamUses, agents, baselines, clock: store.clock }, until);
  logger.info('uses judged', { ...answer });
}

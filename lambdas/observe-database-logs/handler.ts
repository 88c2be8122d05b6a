import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedgerReads } from '../../shared/adapters/dynamodb-ledger-reads.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { logDeliveryOf } from '../../shared/adapters/log-delivery.ts';
import type { DatabaseLog } from '../../shared/domain/database-logs/servers.ts';
import { observeDatabaseLog } from '../../shared/engine/database-log.ts';
import { LoginPlaces } from '../../shared/engine/login-places.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, setting } from '../compose.ts';

const logger = createLogger();
const clock = Date.now;
const store = {
  aws: awsCallsFromEnvironment(process.env),
  table: setting(ENV.table),
  tenant: setting(ENV.tenant),
  clock,
};
// Written by infra from settings that were checked.
const logs = JSON.parse(setting(ENV.databaseLogs)) as readonly DatabaseLog[];
const deps = {
  places: new LoginPlaces(new DynamoDbLedgerReads(store), clock),
  uses: new DynamoDbUpstreamUses(store),
  logs,
  clock,
};

/**
 * Keeps who logs in to databases, as a subscription of CloudWatch Logs delivers their logs. Never a line in the log: names are
 * whatever somebody has typed, a password included. Alarms count `database login undecided` and `database log not understood`
 * (infra/stacks/monitoring.ts).
 */
export async function handler(event: unknown): Promise<void> {
  const delivery = logDeliveryOf(event);
  if (delivery === undefined) return;
  const { account, logGroup, logStream: stream, messages } = delivery;
  const log = logs.find(({ logGroupArn }) => logGroupArn.endsWith(`:${account}:log-group:${logGroup}`));
  if (log === undefined) return logger.warn('database log not in the settings', { logGroup });
  const { undecided, ...answer } = await observeDatabaseLog(deps, { log, stream, messages });
  logger.info('database log observed', { logGroup, stream, ...answer });
  if (undecided.length > 0)
    logger.warn('database login undecided', { logGroup, stream, credentials: undecided });
  if ((answer.dropped.malformed ?? 0) > 0)
    logger.warn('database log not understood', { logGroup, stream, lines: answer.dropped.malformed });
}

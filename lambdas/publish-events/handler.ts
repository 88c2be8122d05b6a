import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { EventBridgePublisher } from '../../shared/adapters/eventbridge-publisher.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, home, setting } from '../compose.ts';
import { eachChange, type TableChange } from '../stream.ts';

const logger = createLogger();
const events = new EventBridgePublisher({
  aws: awsCallsFromEnvironment(process.env),
  bus: setting(ENV.bus),
  home: home(),
});

/** The other half of the outbox: what the ledger has committed goes to Rekey's bus, at least once. */
export async function handler(event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
  return eachChange(event, publish, (error, key) =>
    logger.error('publishing failed', { key, ...errorFields(error) }),
  );
}

async function publish({ change, kind, after }: TableChange): Promise<void> {
  if (kind !== 'audit' || change !== 'INSERT' || after === undefined) return;
  const news = eventOf(JSON.parse(after) as AuditRecord);
  if (news !== undefined) await events.publish(news.detailType, news.detail);
}

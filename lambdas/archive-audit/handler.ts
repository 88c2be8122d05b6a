import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { S3Archive } from '../../shared/adapters/s3-archive.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { UpstreamUse } from '../../shared/domain/upstream-use.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, setting } from '../compose.ts';
import { eachChange, type TableChange } from '../stream.ts';

const logger = createLogger();
const home = {
  tenant: setting(ENV.tenant),
  account: setting(ENV.account),
  region: process.env['AWS_REGION'] ?? '',
};
const archive = new S3Archive({
  aws: awsCallsFromEnvironment(process.env),
  archive: setting(ENV.archive),
  snapshots: setting(ENV.snapshots),
});

/** Copies the ledger's stream: audit records and uses to the locked archive, heads to the revocation snapshots. */
export async function handler(event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
  const answer = await eachChange(event, copy, (error, key) =>
    logger.error('archiving failed', { key, ...errorFields(error) }),
  );
  logger.info('archived', { records: event.Records.length, failed: answer.batchItemFailures.length });
  return answer;
}

async function copy({ change, key, kind, before, after, use }: TableChange): Promise<void> {
  if (kind === 'upstream-use')
    return after === undefined ? undefined : archive.storeUpstreamUse(JSON.parse(after) as UpstreamUse, home);
  if (kind === 'use') return use === undefined ? undefined : archive.storeUse(use, home);
  if (kind === 'credential' && after !== undefined) return archive.snapshot(JSON.parse(after) as Credential);
  if (kind !== 'audit') return;
  if (change === 'INSERT' && after !== undefined) return archive.store(JSON.parse(after) as AuditRecord);
  logger.critical('audit record tampered with', { key, change });
  await archive.reportTampering({ key, change, before: before ?? '', after: after ?? '' });
}

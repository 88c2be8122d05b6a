import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import type { LocalStack } from '../stack.ts';

/** Every record of the archive. */
export async function readArchive(stack: LocalStack, bucket: string): Promise<AuditRecord[]> {
  const client = new S3Client({ ...stack.clientConfig, forcePathStyle: true });
  const records: AuditRecord[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: 'records/',
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
    );
    for (const { Key } of page.Contents ?? []) {
      const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      records.push(JSON.parse((await object.Body?.transformToString()) ?? '') as AuditRecord);
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  client.destroy();
  return records;
}

/** The archive once it holds `expected` records; what it holds by then where it doesn't get there in time. */
export async function settledArchive(
  stack: LocalStack,
  bucket: string,
  expected: number,
  timeoutMs = 20_000,
): Promise<AuditRecord[]> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const records = await readArchive(stack, bucket);
    if (records.length >= expected || Date.now() > end) return records;
    await sleep(300);
  }
}

/** Faults in the chains of all credentials in `records`. */
export function chainFaults(records: readonly AuditRecord[]): number {
  const byCredential = Map.groupBy(records, (record) => record.entity.uid);
  return [...byCredential.values()].reduce((sum, own) => sum + checkChain(own).length, 0);
}

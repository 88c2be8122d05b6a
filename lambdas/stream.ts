import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';

/** One change of the ledger table. */
export interface TableChange {
  readonly change: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly key: string;
  /** By the key, which a writer of the table can't change: attributes of a row may have been tampered with. */
  readonly kind: 'credential' | 'audit' | 'other';
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Runs `handle` on each change in order and reports the first that failed: the stream resumes there. Records of one
 * item come in order and at least once, so `handle` must stand repetition.
 */
export async function eachChange(
  event: DynamoDBStreamEvent,
  handle: (change: TableChange) => Promise<void>,
  onFailure: (error: unknown, key: string) => void,
): Promise<DynamoDBBatchResponse> {
  for (const record of event.Records) {
    const change = changeOf(record);
    try {
      await handle(change);
    } catch (error) {
      onFailure(error, change.key);
      return { batchItemFailures: [{ itemIdentifier: record.dynamodb?.SequenceNumber ?? '' }] };
    }
  }
  return { batchItemFailures: [] };
}

function changeOf(record: DynamoDBRecord): TableChange {
  const { pk, sk } = record.dynamodb?.Keys ?? {};
  const name = sk?.S ?? '';
  return {
    change: record.eventName ?? 'INSERT',
    key: `${pk?.S ?? ''} ${name}`,
    kind: name === 'HEAD' ? 'credential' : name.startsWith('AUD#') ? 'audit' : 'other',
    before: record.dynamodb?.OldImage?.['doc']?.S,
    after: record.dynamodb?.NewImage?.['doc']?.S,
  };
}

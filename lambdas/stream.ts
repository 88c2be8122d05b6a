import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';

/** One change of the ledger table. */
export interface TableChange {
  readonly change: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly key: string;
  /** `credential`, `rotation`, `audit` or `lock`. */
  readonly kind: string;
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
  const image = record.dynamodb?.NewImage ?? record.dynamodb?.OldImage ?? {};
  return {
    change: record.eventName ?? 'INSERT',
    key: `${image['pk']?.S ?? ''} ${image['sk']?.S ?? ''}`,
    kind: image['kind']?.S ?? '',
    before: record.dynamodb?.OldImage?.['doc']?.S,
    after: record.dynamodb?.NewImage?.['doc']?.S,
  };
}

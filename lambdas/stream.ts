import type { AttributeValue, DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { useOf, type Item } from '../shared/adapters/ledger-items.ts';
import type { UseReport } from '../shared/domain/agents.ts';

/** One change of the ledger table. */
export interface TableChange {
  readonly change: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly key: string;
  /** By the key, which a writer of the table can't change: attributes of a row may have been tampered with. */
  readonly kind: 'credential' | 'audit' | 'use' | 'upstream-use' | 'other';
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** What a session has reported of a minute, as it stands after the change. */
  readonly use?: UseReport;
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
  const { NewImage: image } = record.dynamodb ?? {};
  const reported = /#USE#(.+)$/.exec(pk?.S ?? '')?.[1];
  return {
    change: record.eventName ?? 'INSERT',
    key: `${pk?.S ?? ''} ${name}`,
    kind: reported !== undefined ? 'use' : kindOf(pk?.S ?? '', name),
    before: record.dynamodb?.OldImage?.['doc']?.S,
    after: image?.['doc']?.S,
    ...(reported === undefined || image === undefined ? {} : { use: useOf(reported, wire(image)) }),
  };
}

function kindOf(partition: string, name: string): TableChange['kind'] {
  if (partition.includes('#UPSTREAM#')) return 'upstream-use';
  return name === 'HEAD' ? 'credential' : name.startsWith('AUD#') ? 'audit' : 'other';
}

/** The texts and numbers of an image, which is all that an item of ours has. */
function wire(image: Readonly<Record<string, AttributeValue>>): Item {
  return Object.fromEntries(
    Object.entries(image).flatMap(([name, { S, N }]): [string, Item[string]][] =>
      S !== undefined ? [[name, { S }]] : N !== undefined ? [[name, { N }]] : [],
    ),
  );
}

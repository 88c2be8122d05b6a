import { createHash } from 'node:crypto';
import { fromInstant, plusSeconds, toInstant, type Clock } from '../domain/clock.ts';
import {
  identityOf,
  READER_KEPT_SECONDS,
  seenAgain,
  type Reader,
  type SeenReader,
} from '../domain/readers.ts';
import { TABLE } from '../names.ts';
import type { ReaderLog } from '../ports/reader-log.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';
import { documentOf, keys, readerItem, text, type Item } from './ledger-items.ts';

/** How many readers of a secret are listed. */
const LISTED = 200;

/** Readers beside the ledger, in its table. */
export class DynamoDbReaderLog implements ReaderLog {
  readonly #aws: AwsCalls;
  readonly #table: string;
  readonly #tenant: string;
  readonly #clock: Clock;

  constructor(options: { aws: AwsCalls; table: string; tenant: string; clock: Clock }) {
    this.#aws = options.aws;
    this.#table = options.table;
    this.#tenant = options.tenant;
    this.#clock = options.clock;
  }

  async saw(secret: string, reader: SeenReader): Promise<boolean> {
    const key = keys.reader(this.#tenant, secret, idOf(reader));
    const { Item: item } = await this.#aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
      TableName: this.#table,
      Key: key,
    });
    const kept = seenAgain(item && documentOf<SeenReader>(item), reader);
    if (kept === undefined) return false;
    const expires = fromInstant(plusSeconds(kept.lastSeen, READER_KEPT_SECONDS)) / 1000;
    try {
      await this.#aws.json('dynamodb', 'PutItem', {
        TableName: this.#table,
        Item: readerItem(key, kept, Math.ceil(expires)),
        // Two at once: what either has seen is news enough.
        ...(item === undefined
          ? { ConditionExpression: `attribute_not_exists(${TABLE.pk})` }
          : {
              ConditionExpression: 'lastSeen = :known',
              ExpressionAttributeValues: { ':known': { S: text(item, 'lastSeen') ?? '' } },
            }),
      });
      return true;
    } catch (error) {
      if (isAwsError(error, 'ConditionalCheckFailedException')) return false;
      throw error;
    }
  }

  async of(secret: string): Promise<readonly SeenReader[]> {
    const { Items = [] } = await this.#aws.json<{ Items?: Item[] }>('dynamodb', 'Query', {
      TableName: this.#table,
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.reader(this.#tenant, secret, '')[TABLE.pk] },
      Limit: LISTED,
    });
    // DynamoDB deletes what has expired within days.
    const since = toInstant(this.#clock() - READER_KEPT_SECONDS * 1000);
    return Items.map((item) => documentOf<SeenReader>(item)).filter(({ lastSeen }) => lastSeen >= since);
  }
}

function idOf(reader: Reader): string {
  return createHash('sha256').update(identityOf(reader)).digest('hex').slice(0, 32);
}

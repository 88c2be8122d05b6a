import { createHash } from 'node:crypto';
import { fromInstant, plusSeconds } from '../domain/clock.ts';
import {
  identityOf,
  READER_KEPT_SECONDS,
  seenAgain,
  type Reader,
  type SeenReader,
} from '../domain/readers.ts';
import { TABLE } from '../names.ts';
import type { ReaderLog } from '../ports/reader-log.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, keys, readerItem, text, type Item } from './ledger-items.ts';
import { ABSENT, LedgerTable, type Condition, type Store } from './ledger-table.ts';

/** How many readers of a secret are listed. */
const LISTED = 200;
/** How often a sighting is written where others are at it. */
const TRIES = 3;

/** Readers beside the ledger, in its table. */
export class DynamoDbReaderLog implements ReaderLog {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async saw(secret: string, reader: SeenReader): Promise<boolean> {
    const key = keys.reader(this.#table.tenant, secret, idOf(reader));
    let item = await this.#table.getLagging(key);
    for (let tried = 1; ; tried++) {
      const kept = seenAgain(item && documentOf<SeenReader>(item), reader);
      if (kept === undefined) return false;
      const expires = fromInstant(plusSeconds(kept.lastSeen, READER_KEPT_SECONDS)) / 1000;
      try {
        await this.#table.put(readerItem(key, kept, Math.ceil(expires)), unchanged(item));
        return true;
      } catch (error) {
        if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
        // Somebody else's sighting came between; a sighting informs, and isn't fought for.
        if (tried === TRIES) return false;
      }
      item = await this.#table.get(key);
    }
  }

  async of(secret: string): Promise<readonly SeenReader[]> {
    const { Items = [] } = await this.#table.query({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.reader(this.#table.tenant, secret, '')[TABLE.pk] },
      Limit: LISTED,
    });
    // DynamoDB deletes what has expired within days.
    const since = plusSeconds(this.#table.now(), -READER_KEPT_SECONDS);
    return Items.map((item) => documentOf<SeenReader>(item)).filter(({ lastSeen }) => lastSeen >= since);
  }
}

/** The item is as it was read: of two at once, neither loses an address that the other has seen. */
function unchanged(item: Item | undefined): Condition {
  return item === undefined
    ? ABSENT
    : {
        ConditionExpression: 'doc = :known',
        ExpressionAttributeValues: { ':known': { S: text(item, 'doc') ?? '' } },
      };
}

function idOf(reader: Reader): string {
  return createHash('sha256').update(identityOf(reader)).digest('hex').slice(0, 32);
}

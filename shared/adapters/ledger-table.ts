import { randomUUID } from 'node:crypto';
import { toInstant, type Clock, type Instant } from '../domain/clock.ts';
import { TABLE } from '../names.ts';
import type { AwsCalls } from './aws-client.ts';
import type { Item } from './ledger-items.ts';

/** Where the ledger is kept, whose part of it, and what time it is. */
export interface Store {
  readonly aws: AwsCalls;
  readonly table: string;
  readonly tenant: string;
  readonly clock: Clock;
}

/** One part of a transaction, from `putting`, `deleting` or `checking`. */
export interface TransactItem {
  readonly ConditionCheck?: object;
  readonly Put?: object;
  readonly Delete?: object;
}

/** What a put may demand of what is there already. */
export interface Condition {
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Item;
}

interface QueryAnswer {
  readonly Items?: Item[];
  readonly LastEvaluatedKey?: Item;
}

/** Nothing is there yet. */
export const ABSENT: Condition = { ConditionExpression: `attribute_not_exists(${TABLE.pk})` };

/** The item has this version; 0: nothing is there yet. */
export function versionIs(version: number): Condition {
  return version === 0
    ? ABSENT
    : {
        ConditionExpression: '#version = :version',
        ExpressionAttributeNames: { '#version': 'version' },
        ExpressionAttributeValues: { ':version': { N: String(version) } },
      };
}

/** The one table, as a tenant's parts of it are read and written; `ledger-items.ts` knows what is in it. */
export class LedgerTable {
  readonly tenant: string;
  readonly #aws: AwsCalls;
  readonly #name: string;
  readonly #clock: Clock;

  constructor({ aws, table, tenant, clock }: Store) {
    this.#aws = aws;
    this.#name = table;
    this.tenant = tenant;
    this.#clock = clock;
  }

  now(): Instant {
    return toInstant(this.#clock());
  }

  /** An item as the last write has left it. */
  get(key: Item): Promise<Item | undefined> {
    return this.#get({ Key: key, ConsistentRead: true });
  }

  /** An item for half the price, which may be a moment old. */
  getLagging(key: Item): Promise<Item | undefined> {
    return this.#get({ Key: key });
  }

  async #get(input: object): Promise<Item | undefined> {
    const answer = await this.#aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
      TableName: this.#name,
      ...input,
    });
    return answer.Item;
  }

  async put(item: Item, condition: Condition = {}): Promise<void> {
    await this.#aws.json('dynamodb', 'PutItem', { TableName: this.#name, Item: item, ...condition });
  }

  async update(key: Item, change: object): Promise<void> {
    await this.#aws.json('dynamodb', 'UpdateItem', { TableName: this.#name, Key: key, ...change });
  }

  query(input: object): Promise<QueryAnswer> {
    return this.#aws.json('dynamodb', 'Query', { TableName: this.#name, ...input });
  }

  /** What a query finds, page by page to the end. */
  async *pages(input: object): AsyncIterable<Item> {
    let start: Item | undefined;
    do {
      const answer = await this.query({
        ...input,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      yield* answer.Items ?? [];
      start = answer.LastEvaluatedKey;
    } while (start !== undefined);
  }

  putting(item: Item, condition: Condition = {}): TransactItem {
    return { Put: { TableName: this.#name, Item: item, ...condition } };
  }

  deleting(key: Item, condition: Condition = {}): TransactItem {
    return { Delete: { TableName: this.#name, Key: key, ...condition } };
  }

  checking(key: Item, condition: Condition): TransactItem {
    return { ConditionCheck: { TableName: this.#name, Key: key, ...condition } };
  }

  /** The token makes a repeated call after a lost answer the same call (DynamoDB keeps it for ten minutes). */
  async transact(items: readonly TransactItem[]): Promise<void> {
    await this.#aws.json('dynamodb', 'TransactWriteItems', {
      TransactItems: items,
      ClientRequestToken: randomUUID(),
    });
  }
}

import { toInstant, type Clock, type Instant } from '../domain/clock.ts';
import type { FunctionName } from '../names.ts';
import type { Heartbeats } from '../ports/heartbeats.ts';
import type { AwsCalls } from './aws-client.ts';
import { heartbeatItem, keys, text, type Item } from './ledger-items.ts';

/** Heartbeats in the ledger's table, beside what the stream's readers look at. */
export class DynamoDbHeartbeats implements Heartbeats {
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

  async beat(functionName: FunctionName): Promise<void> {
    await this.#aws.json('dynamodb', 'PutItem', {
      TableName: this.#table,
      Item: heartbeatItem(this.#tenant, functionName, toInstant(this.#clock())),
    });
  }

  async last(functionName: FunctionName): Promise<Instant | undefined> {
    const { Item: item } = await this.#aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
      TableName: this.#table,
      Key: keys.heartbeat(this.#tenant, functionName),
    });
    return item && text(item, 'at');
  }
}

import { toInstant } from '../domain/clock.ts';
import type { HeldSignal } from '../domain/signals/held.ts';
import { TABLE } from '../names.ts';
import type { SignalStore } from '../ports/signals.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, forgottenAt, groups, keys, seenSignalItem } from './ledger-items.ts';
import { LedgerTable, type Store } from './ledger-table.ts';

const HOUR_SECONDS = 3600;

/** How many signals that are held are listed, the longest first: more than a flood within its budgets brings in hours. */
const LISTED = 1000;

/** What is kept of signals, in the ledger's table. */
export class DynamoDbSignals implements SignalStore {
  readonly #table: LedgerTable;
  readonly #clock: Store['clock'];

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
    this.#clock = store.clock;
  }

  async seen(source: string, id: string): Promise<boolean> {
    return (await this.#table.get(keys.seenSignal(this.#table.tenant, source, id))) !== undefined;
  }

  async mark(source: string, id: string): Promise<void> {
    await this.#table.put(seenSignalItem(this.#table.tenant, source, id, forgottenAt(this.#table.now())));
  }

  async take(budget: string, perHour: number, count = 1, name?: string): Promise<boolean> {
    if (count > perHour) return false;
    const now = this.#clock();
    const key = keys.signalBudget(this.#table.tenant, budget, toInstant(now).slice(0, 13));
    // An attribute of its own for each name: the update that counts it also keeps that it was counted.
    const share = name === undefined ? undefined : `for-${name}`;
    try {
      // Without a name a lost answer takes one too many, which is the safe side.
      await this.#table.update(key, {
        UpdateExpression: `SET expires = :until${share === undefined ? '' : ', #share = :count'} ADD taken :count`,
        ConditionExpression: `(attribute_not_exists(taken) OR taken <= :most)${share === undefined ? '' : ' AND attribute_not_exists(#share)'}`,
        ...(share === undefined ? {} : { ExpressionAttributeNames: { '#share': share } }),
        ExpressionAttributeValues: {
          ':until': { N: String(Math.ceil(now / 1000) + 48 * HOUR_SECONDS) },
          ':count': { N: String(count) },
          ':most': { N: String(perHour - count) },
        },
      });
      return true;
    } catch (error) {
      if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
      return share !== undefined && (await this.#table.get(key))?.[share] !== undefined;
    }
  }

  async held(id: string): Promise<HeldSignal | undefined> {
    const item = await this.#table.get(keys.held(this.#table.tenant, id));
    return item && documentOf<HeldSignal>(item);
  }

  async allHeld(): Promise<readonly HeldSignal[]> {
    const found: HeldSignal[] = [];
    const pages = this.#table.pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.held(this.#table.tenant) } },
    });
    for await (const item of pages) {
      found.push(documentOf<HeldSignal>(item));
      if (found.length >= LISTED) break;
    }
    return found;
  }
}

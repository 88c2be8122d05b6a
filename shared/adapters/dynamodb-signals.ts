import { countedAt, nextHour, stillCounts, type HourCount } from '../domain/signals/budget.ts';
import type { HeldSignal } from '../domain/signals/held.ts';
import type { TakenSignal, ToldSuspicions } from '../domain/signals/taken.ts';
import { TABLE } from '../names.ts';
import type { SignalStore } from '../ports/signals.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, forgottenAt, groups, keys, seenSignalItem, type Item } from './ledger-items.ts';
import { LedgerTable, type Store } from './ledger-table.ts';

const HOUR_SECONDS = 3600;

/** Before the minute of the hour, the attribute that counts what was taken in it. */
const MINUTE = 'm-';

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

  async taken(source: string, id: string): Promise<TakenSignal | undefined> {
    const item = await this.#table.get(keys.seenSignal(this.#table.tenant, source, id));
    // Older versions kept no more than that it was taken.
    return item && { round: 0, fingerprints: [], ...documentOf<Partial<TakenSignal>>(item) };
  }

  async mark(source: string, id: string, taken: TakenSignal, forGood = false): Promise<void> {
    const until = forGood ? undefined : forgottenAt(this.#table.now());
    await this.#table.put(seenSignalItem(this.#table.tenant, source, id, taken, until));
  }

  async told(credentialId: string): Promise<ToldSuspicions | undefined> {
    const item = await this.#table.get(keys.toldSuspicions(this.#table.tenant, credentialId));
    return item && documentOf<ToldSuspicions>(item);
  }

  async take(budget: string, perHour: number, count = 1, name?: string): Promise<boolean> {
    if (count > perHour) return false;
    const now = this.#clock();
    const asked = { budget, perHour, count, ...(name === undefined ? {} : { share: `for-${name}` }) };
    // Where another clock is in the next hour already, this one's has ended.
    return (await this.#takeAt(now, asked)) ?? (await this.#takeAt(nextHour(now), asked)) ?? false;
  }

  /** Undefined where that clock hour takes nothing more. */
  async #takeAt(now: number, { budget, perHour, count, share }: Asked): Promise<boolean | undefined> {
    const { hour, before, minute } = countedAt(now);
    const key = keys.signalBudget(this.#table.tenant, budget, hour);
    const last = await this.#closed(budget, before, now);
    if (share !== undefined && last?.[share] !== undefined) return true;
    const most = perHour - count - (last === undefined ? 0 : stillCounts(countOf(last), minute));
    // An attribute of its own for each name: the update that counts it also keeps that it was counted.
    const names = { '#minute': `${MINUTE}${minute}`, ...(share === undefined ? {} : { '#share': share }) };
    const free = share === undefined ? '' : ' AND attribute_not_exists(#share)';
    try {
      // Without a name a lost answer takes one too many, which is the safe side.
      await this.#table.update(key, {
        UpdateExpression: `SET expires = :until${share === undefined ? '' : ', #share = :count'} ADD taken :count, #minute :count`,
        ConditionExpression: `attribute_not_exists(closed)${free} AND (taken <= :most OR (attribute_not_exists(taken) AND :most >= :none))`,
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: {
          ':until': { N: forgetAt(now) },
          ':count': { N: String(count) },
          ':most': { N: String(most) },
          ':none': { N: '0' },
        },
      });
      return true;
    } catch (error) {
      if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
      const found = await this.#table.get(key);
      if (share !== undefined && found?.[share] !== undefined) return true;
      return found?.['closed'] === undefined ? false : undefined;
    }
  }

  /** What a clock hour has counted, to which nothing is added any more: somebody with a slower clock would take it twice. */
  async #closed(budget: string, hour: string, now: number): Promise<Item | undefined> {
    const key = keys.signalBudget(this.#table.tenant, budget, hour);
    const found = await this.#table.get(key);
    if (found?.['closed'] !== undefined) return found;
    await this.#table.update(key, {
      UpdateExpression: 'SET expires = :until, closed = :yes',
      ExpressionAttributeValues: { ':until': { N: forgetAt(now) }, ':yes': { N: '1' } },
    });
    return this.#table.get(key);
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

interface Asked {
  readonly budget: string;
  readonly perHour: number;
  readonly count: number;
  readonly share?: string;
}

function countOf(item: Item): HourCount {
  const number = (name: string): number => {
    const value = item[name];
    return value !== undefined && 'N' in value ? Number(value.N) : 0;
  };
  const minutes = Object.keys(item).filter((name) => name.startsWith(MINUTE));
  return {
    taken: number('taken'),
    minutes: new Map(minutes.map((name) => [Number(name.slice(MINUTE.length)), number(name)])),
  };
}

function forgetAt(now: number): string {
  return String(Math.ceil(now / 1000) + 48 * HOUR_SECONDS);
}

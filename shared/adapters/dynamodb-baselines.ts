import { createHash } from 'node:crypto';
import { KEPT_DAYS, NOTHING_KNOWN, type Baseline } from '../domain/anomalies/baseline.ts';
import { TOLD_SECONDS, type Suspicion } from '../domain/anomalies/suspicion.ts';
import { TABLE } from '../names.ts';
import type { Baselines, KeptBaseline, Progress } from '../ports/baselines.ts';
import { isAwsError } from './aws-client.ts';
import {
  baselineItem,
  count,
  documentOf,
  groups,
  keys,
  progressItem,
  suspicionItem,
  type Item,
} from './ledger-items.ts';
import { ABSENT, LedgerTable, versionIs, type Condition, type Store } from './ledger-table.ts';

const DAY_SECONDS = 86_400;

/** What is usual, beside the ledger in its table. */
export class DynamoDbBaselines implements Baselines {
  readonly #table: LedgerTable;
  readonly #clock: Store['clock'];

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
    this.#clock = store.clock;
  }

  async read(secret: string, of?: string): Promise<KeptBaseline> {
    const item = await this.#table.get(this.#key(secret, of));
    return item === undefined
      ? { baseline: NOTHING_KNOWN, version: 0 }
      : { baseline: documentOf<Baseline>(item), version: count(item, 'version') };
  }

  keep(secret: string, of: string | undefined, { baseline, version }: KeptBaseline): Promise<boolean> {
    const expires = this.#seconds() + (KEPT_DAYS + 1) * DAY_SECONDS;
    return this.#put(baselineItem(this.#key(secret, of), baseline, version + 1, expires), versionIs(version));
  }

  async suspect(suspicion: Suspicion): Promise<void> {
    const now = this.#seconds();
    // DynamoDB deletes what has expired within days.
    await this.#put(suspicionItem(this.#table.tenant, suspicion, now + TOLD_SECONDS, true), {
      ConditionExpression: `${ABSENT.ConditionExpression} OR ${TABLE.expires} < :now`,
      ExpressionAttributeValues: { ':now': { N: String(now) } },
    });
  }

  async suspicions(limit: number): Promise<readonly Suspicion[]> {
    const found: Suspicion[] = [];
    const pages = this.#table.pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.suspicions(this.#table.tenant) } },
    });
    for await (const item of pages) {
      found.push(documentOf<Suspicion>(item));
      if (found.length >= limit) break;
    }
    return found;
  }

  async weighed(suspicion: Suspicion): Promise<void> {
    const expires = this.#seconds() + TOLD_SECONDS;
    await this.#table.put(suspicionItem(this.#table.tenant, suspicion, expires, false));
  }

  async progress(): Promise<Progress | undefined> {
    const item = await this.#table.get(keys.usesJudged(this.#table.tenant));
    return item && documentOf<Progress>(item);
  }

  proceed(progress: Progress): Promise<void> {
    return this.#table.put(progressItem(this.#table.tenant, progress));
  }

  /** False where the condition doesn't hold. */
  async #put(item: Item, condition: Condition): Promise<boolean> {
    try {
      await this.#table.put(item, condition);
      return true;
    } catch (error) {
      if (isAwsError(error, 'ConditionalCheckFailedException')) return false;
      throw error;
    }
  }

  #key(secret: string, of: string | undefined): Item {
    const reader = of === undefined ? undefined : createHash('sha256').update(of).digest('hex').slice(0, 32);
    return keys.baseline(this.#table.tenant, secret, reader);
  }

  #seconds(): number {
    return Math.ceil(this.#clock() / 1000);
  }
}

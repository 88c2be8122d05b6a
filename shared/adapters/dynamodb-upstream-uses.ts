import { createHash } from 'node:crypto';
import { USES_KEPT_SECONDS } from '../domain/agents.ts';
import { plusSeconds, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Interval } from '../domain/forensics/facts.ts';
import { merged } from '../domain/forensics/intervals.ts';
import {
  bucketOf,
  byDay,
  DEPLOYMENT,
  gathered,
  LONGEST_BUCKET_SECONDS,
  sightingOf,
  widened,
  type UpstreamSource,
  type UpstreamUse,
  type UseCoverage,
} from '../domain/upstream-use.ts';
import { quietSecondsOf } from '../domain/use-sources.ts';
import { TABLE } from '../names.ts';
import type { UpstreamUses } from '../ports/upstream-uses.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, expiry, keys, text, upstreamItem, type Item } from './ledger-items.ts';
import { ABSENT, LedgerTable, type Store } from './ledger-table.ts';

const WRITES_AT_ONCE = 10;
/** Two functions at once write the same bucket: so often it is read and written anew. */
const ATTEMPTS = 10;

/** What upstreams tell of uses, beside the ledger in its table. */
export class DynamoDbUpstreamUses implements UpstreamUses {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async keep(uses: readonly UpstreamUse[]): Promise<number> {
    const told = gathered(uses);
    let written = 0;
    for (let from = 0; from < told.length; from += WRITES_AT_ONCE) {
      const some = told.slice(from, from + WRITES_AT_ONCE);
      const answers = await Promise.all(some.map((use) => this.#keepOne(use)));
      written += answers.filter(Boolean).length;
    }
    return written;
  }

  async cover(source: UpstreamSource, of: string, times: readonly Interval[]): Promise<void> {
    const quietMs = quietSecondsOf(source) * 1000;
    const parts = merged(times, quietMs).flatMap(({ from, to }) => byDay(from, to));
    for (const [day, same] of Map.groupBy(parts, (part) => part.day)) {
      const told = same.map(({ from, to }) => ({ from, to }));
      await this.#change<Interval[]>(
        keys.useCoverage(this.#table.tenant, of, source, day),
        (known = []) => merged([...known, ...told], quietMs),
        plusSeconds(`${day}T00:00:00.000Z`, USES_KEPT_SECONDS + LONGEST_BUCKET_SECONDS),
      );
    }
  }

  async *log(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse> {
    const first = bucketOf({ from: plusSeconds(from, -LONGEST_BUCKET_SECONDS - 60) });
    // After every use of that minute.
    for await (const use of this.#between(credentialId, first, `${bucketOf({ from: to })}$`))
      if (use.to >= from && use.from <= to) yield use;
  }

  begun(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse> {
    // Before every use of that minute.
    return this.#between(credentialId, bucketOf({ from }), bucketOf({ from: to }));
  }

  async *#between(credentialId: string, first: string, last: string): AsyncIterable<UpstreamUse> {
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p AND ${TABLE.sk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':p': keys.upstreamUse(this.#table.tenant, credentialId, '', '')[TABLE.pk],
        ':from': { S: first },
        ':to': { S: last },
      },
      ConsistentRead: true,
    });
    for await (const item of pages) yield documentOf<UpstreamUse>(item);
  }

  async coverage(credentialId: string, server?: string): Promise<readonly UseCoverage[]> {
    const found = await Promise.all(
      [credentialId, DEPLOYMENT, ...(server === undefined ? [] : [server])].map((of) => this.#coverageOf(of)),
    );
    return found.flat();
  }

  async #coverageOf(of: string): Promise<UseCoverage[]> {
    const found: UseCoverage[] = [];
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.useCoverage(this.#table.tenant, of, '', '')[TABLE.pk] },
      ConsistentRead: true,
    });
    for await (const item of pages) {
      const [source = ''] = (text(item, TABLE.sk) ?? '').split('#');
      for (const time of documentOf<Interval[]>(item))
        found.push({ source: source as UpstreamSource, of, ...time });
    }
    return found;
  }

  #keepOne(use: UpstreamUse): Promise<boolean> {
    const id = createHash('sha256').update(sightingOf(use)).digest('hex').slice(0, 32);
    return this.#change<UpstreamUse>(
      keys.upstreamUse(this.#table.tenant, use.credentialId, bucketOf(use), id),
      (known) => (known === undefined ? use : widened(known, use)),
      plusSeconds(use.to, USES_KEPT_SECONDS),
    );
  }

  /** Reads, changes and writes a document unless somebody else has meanwhile. False where nothing of it is news. */
  async #change<T extends object>(
    key: Item,
    change: (known: T | undefined) => T,
    until: Instant,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const item = await this.#table.get(key);
      const next = upstreamItem(
        key,
        change(item === undefined ? undefined : documentOf<T>(item)),
        expiry(until),
      );
      const known = item === undefined ? undefined : text(item, 'doc');
      if (known !== undefined && known === text(next, 'doc')) return false;
      try {
        await this.#table.put(
          next,
          known === undefined
            ? ABSENT
            : {
                ConditionExpression: '#doc = :known',
                ExpressionAttributeNames: { '#doc': 'doc' },
                ExpressionAttributeValues: { ':known': { S: known } },
              },
        );
        return true;
      } catch (error) {
        if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
      }
    }
    throw new RekeyError('ERR_CONFLICT', 'others write the same use again and again', {
      remedy: 'nothing is lost: it is given again',
    });
  }
}

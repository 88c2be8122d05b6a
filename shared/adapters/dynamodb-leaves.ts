import { plusSeconds } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { LEAVES_KEPT_SECONDS, type Leaf } from '../domain/leaf.ts';
import { TABLE } from '../names.ts';
import type { Leaves } from '../ports/leaves.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, expiry, type Item } from './ledger-items.ts';
import { ABSENT, LedgerTable, type Store } from './ledger-table.ts';

/** How long a count is kept that nothing is added to any more. */
const COUNTS_KEPT_SECONDS = 2 * 3600;

/** Issued certificates in the table of the directory, each by its serial number and by its key. */
export class DynamoDbLeaves implements Leaves {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async ofKey(set: string, fingerprint: string): Promise<Leaf | undefined> {
    const item = await this.#table.get(this.#keyKey(set, fingerprint));
    return item && documentOf<Leaf>(item);
  }

  async bySerial(set: string, authority: string, serial: string): Promise<Leaf | undefined> {
    const item = await this.#table.get(this.#serialKey(set, authority, serial));
    return item && documentOf<Leaf>(item);
  }

  async count(
    set: string,
    { authority, agent }: Pick<Leaf, 'authority' | 'agent'>,
    limit: number,
  ): Promise<void> {
    const now = this.#table.now();
    const hour = now.slice(0, 13);
    try {
      await this.#table.update(this.#item('LEAFCOUNT', `${set}#${authority}#${agent}`, hour), {
        UpdateExpression: 'ADD #count :one SET #expires = :expires',
        ConditionExpression: 'attribute_not_exists(#count) OR #count < :limit',
        ExpressionAttributeNames: { '#count': 'count', '#expires': TABLE.expires },
        ExpressionAttributeValues: {
          ':one': n(1),
          ':limit': n(limit),
          ':expires': n(expiry(plusSeconds(now, COUNTS_KEPT_SECONDS))),
        },
      });
    } catch (error) {
      if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
      throw new RekeyError(
        'ERR_CAPACITY',
        `"${agent}" has had ${limit} certificates of this authority in this hour`,
        {
          remedy: 'look for an instance that asks again and again; the next hour begins a new count',
          cause: error,
        },
      );
    }
  }

  async record(set: string, leaf: Leaf): Promise<void> {
    const document = documentFor(leaf);
    const bySerial = this.#serialKey(set, leaf.authority, leaf.serial);
    try {
      await this.#table.transact([
        this.#table.putting({ ...this.#keyKey(set, leaf.fingerprint), ...document }, ABSENT),
        this.#table.putting({ ...bySerial, ...document }, ABSENT),
      ]);
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException')) throw error;
      throw new RekeyError('ERR_CONFLICT', 'the key has had a certificate already', { cause: error });
    }
  }

  async refer(set: string, leaf: Leaf, ref: string): Promise<void> {
    await this.#table.put({ ...this.#keyKey(set, leaf.fingerprint), ...documentFor({ ...leaf, ref }) });
  }

  async renumber(set: string, leaf: Leaf, serial: string): Promise<void> {
    const bySerial = this.#serialKey(set, leaf.authority, serial);
    await this.#table.put({ ...bySerial, ...documentFor({ ...leaf, serial }) });
  }

  #serialKey(set: string, authority: string, serial: string): Item {
    return this.#item('LEAF', `${set}#${authority}`, serial);
  }

  #keyKey(set: string, fingerprint: string): Item {
    return this.#item('LEAFKEY', `${set}#${fingerprint}`, 'KEY');
  }

  #item(kind: 'LEAF' | 'LEAFKEY' | 'LEAFCOUNT', of: string, sk: string): Item {
    return { [TABLE.pk]: { S: `${this.#table.tenant}#${kind}#${of}` }, [TABLE.sk]: { S: sk } };
  }
}

function documentFor(leaf: Leaf): Item {
  return {
    doc: { S: JSON.stringify(leaf) },
    [TABLE.expires]: n(expiry(plusSeconds(leaf.notAfter, LEAVES_KEPT_SECONDS))),
  };
}

const n = (value: number): { N: string } => ({ N: String(value) });

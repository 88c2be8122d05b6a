import { plusSeconds } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { LEAVES_KEPT_SECONDS } from '../domain/leaf.ts';
import type { RevocationList } from '../domain/revocations.ts';
import { TABLE } from '../names.ts';
import type { Revocations } from '../ports/revocations.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, expiry, type Item } from './ledger-items.ts';
import { ABSENT, LedgerTable, type Store } from './ledger-table.ts';

/** Revocation lists in the table of the directory, each by its authority. One that is not signed any more goes as issued certificates do. */
export class DynamoDbRevocations implements Revocations {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async read(set: string, authority: string): Promise<RevocationList | undefined> {
    const item = await this.#table.get(this.#key(set, authority));
    return item && documentOf<RevocationList>(item);
  }

  async write(list: RevocationList): Promise<RevocationList> {
    const next = { ...list, version: list.version + 1 };
    const item = {
      ...this.#key(list.set, list.authority),
      version: n(next.version),
      doc: { S: JSON.stringify(next) },
      [TABLE.expires]: n(expiry(plusSeconds(this.#table.now(), LEAVES_KEPT_SECONDS))),
    };
    try {
      // In a transaction, whose token makes a repetition the same write.
      await this.#table.transact([
        this.#table.putting(
          item,
          list.version === 0
            ? ABSENT
            : {
                ConditionExpression: 'version = :v',
                ExpressionAttributeValues: { ':v': n(list.version) },
              },
        ),
      ]);
      return next;
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException')) throw error;
      throw new RekeyError('ERR_CONFLICT', `the list of ${list.authority} was written meanwhile`, {
        cause: error,
      });
    }
  }

  #key(set: string, authority: string): Item {
    return {
      [TABLE.pk]: { S: `${this.#table.tenant}#CRL#${set}#${authority}` },
      [TABLE.sk]: { S: 'CRL' },
    };
  }
}

const n = (value: number): { N: string } => ({ N: String(value) });

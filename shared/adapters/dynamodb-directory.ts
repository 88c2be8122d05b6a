import type { DirectorySet, SetRef } from '../domain/directory.ts';
import { RekeyError } from '../domain/errors.ts';
import { TABLE } from '../names.ts';
import type { Directory, SealedPart } from '../ports/directory.ts';
import { isAwsError } from './aws-client.ts';
import { documentOf, type Item } from './ledger-items.ts';
import { ABSENT, LedgerTable, type Condition, type Store } from './ledger-table.ts';

/** The directory in a table of its own, which functions that face verifiers read and nothing else. */
export class DynamoDbDirectory implements Directory {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async read(ref: SetRef): Promise<DirectorySet | undefined> {
    const item = await this.#table.get(this.#setKey(ref));
    return item && documentOf<DirectorySet>(item);
  }

  async write(
    set: DirectorySet,
    { keep = [], drop = [] }: { keep?: readonly SealedPart[]; drop?: readonly string[] } = {},
  ): Promise<DirectorySet> {
    const next = { ...set, version: set.version + 1 };
    const item = { ...this.#setKey(set), version: n(next.version), doc: s(JSON.stringify(next)) };
    try {
      await this.#table.transact([
        this.#table.putting(item, set.version === 0 ? ABSENT : since(set.version)),
        ...keep.map(({ id, text }) => this.#table.putting({ ...this.#sealedKey(set, id), sealed: s(text) })),
        ...drop.map((id) => this.#table.deleting(this.#sealedKey(set, id))),
      ]);
      return next;
    } catch (error) {
      if (!isOutrun(error)) throw error;
      throw new RekeyError('ERR_CONFLICT', `${set.kind}/${set.name} was written meanwhile`, { cause: error });
    }
  }

  async sealed(ref: SetRef, id: string): Promise<string | undefined> {
    const item = await this.#table.get(this.#sealedKey(ref, id));
    const part = item?.['sealed'];
    return part !== undefined && 'S' in part ? part.S : undefined;
  }

  #setKey({ kind, name }: SetRef): Item {
    return { [TABLE.pk]: s(`${this.#table.tenant}#SET#${kind}#${name}`), [TABLE.sk]: s('SET') };
  }

  /** Below a key of its own: who may read sets may not read these. */
  #sealedKey({ kind, name }: SetRef, id: string): Item {
    return { [TABLE.pk]: s(`${this.#table.tenant}#SEALED#${kind}#${name}`), [TABLE.sk]: s(id) };
  }
}

function since(version: number): Condition {
  return { ConditionExpression: 'version = :v', ExpressionAttributeValues: { ':v': n(version) } };
}

/** The transaction met a condition that doesn't hold, or another transaction. */
function isOutrun(error: unknown): boolean {
  return isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException');
}

const s = (value: string): { S: string } => ({ S: value });
const n = (value: number): { N: string } => ({ N: String(value) });

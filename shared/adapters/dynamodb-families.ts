import { chained, type AuditDraft, type AuditRecord } from '../domain/audit.ts';
import type { Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Family } from '../domain/families.ts';
import { TABLE } from '../names.ts';
import type { KnownToken } from '../domain/family-leak.ts';
import type { FamilyLedger } from '../ports/families.ts';
import type { Page } from '../ports/ledger.ts';
import { isAwsError } from './aws-client.ts';
import {
  documentOf,
  familyItem,
  familyLockItem,
  familyLookItem,
  familyRecordItem,
  familyTokenItem,
  groups,
  heldItem,
  keys,
  recordSk,
  text,
  type Item,
} from './ledger-items.ts';
import { ABSENT, LedgerTable, versionIs, type Store, type TransactItem } from './ledger-table.ts';
import { decodePage, encodePage } from './page-token.ts';

/** Token families in the ledger's table (docs/architecture.md). */
export class DynamoDbFamilies implements FamilyLedger {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async family(id: string): Promise<Family | undefined> {
    const item = await this.#table.get(keys.family(this.#table.tenant, id));
    return item && documentOf<Family>(item);
  }

  async familyByName(name: string): Promise<Family | undefined> {
    const lock = await this.#table.get(keys.name(this.#table.tenant, name));
    const id = lock && text(lock, 'familyId');
    return id === undefined ? undefined : this.family(id);
  }

  async families(page?: string): Promise<Page<Family>> {
    const { tenant } = this.#table;
    const answer = await this.#table.query({
      ...this.#group(groups.families(tenant)),
      Limit: 100,
      ...(page === undefined ? {} : { ExclusiveStartKey: decodePage(page, tenant) }),
    });
    return {
      items: (answer.Items ?? []).map((item) => documentOf<Family>(item)),
      ...(answer.LastEvaluatedKey === undefined ? {} : { next: encodePage(answer.LastEvaluatedKey) }),
    };
  }

  async byFingerprint(fingerprint: string): Promise<readonly KnownToken[]> {
    const found: KnownToken[] = [];
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: {
        ':p': keys.familyToken(this.#table.tenant, fingerprint, '')[TABLE.pk],
      },
      ConsistentRead: true,
    });
    for await (const item of pages) found.push(documentOf<KnownToken>(item));
    return found;
  }

  async due(by: Instant, limit: number): Promise<readonly string[]> {
    const answer = await this.#table.query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} <= :t`,
      ExpressionAttributeValues: {
        ':g': { S: groups.dueFamilies(this.#table.tenant) },
        ':t': { S: by },
      },
      Limit: limit,
    });
    return (answer.Items ?? []).map((item) => text(item, 'familyId') ?? '');
  }

  async *records(id: string): AsyncIterable<AuditRecord> {
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p AND ${TABLE.sk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':p': keys.family(this.#table.tenant, id)[TABLE.pk],
        ':from': { S: recordSk(1) },
        ':to': { S: recordSk(999_999_999_999) },
      },
      ScanIndexForward: false,
      ConsistentRead: true,
    });
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }

  async *recordsOfMonth(month: string): AsyncIterable<AuditRecord> {
    const pages = this.#table.pages(this.#group(groups.familyMonth(this.#table.tenant, month)));
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }

  async create(family: Family, draft: AuditDraft): Promise<Family> {
    const { stored, puts } = this.#sealed(family, [draft]);
    const locks = this.#locks(family).map((key) =>
      this.#table.putting(familyLockItem(key, family.id), ABSENT),
    );
    const head = this.#table.putting(familyItem(stored), ABSENT);
    await this.#transact('its name, or the name of one of its secrets, is taken', [
      ...locks,
      head,
      this.#look(stored),
      ...puts,
    ]);
    return stored;
  }

  async commit({
    before,
    after,
    records = [],
    tokens = [],
    held,
  }: Parameters<FamilyLedger['commit']>[0]): Promise<Family> {
    const { tenant } = this.#table;
    const { stored, puts } = this.#sealed({ ...after, seq: before.seq, chain: before.chain }, records);
    await this.#write(before, stored, [
      ...puts,
      ...tokens.map((token) => this.#table.putting(familyTokenItem(tenant, token))),
      ...(held === undefined
        ? []
        : [this.#table.putting(heldItem(tenant, held), versionIs(held.version - 1))]),
    ]);
    return stored;
  }

  async release(family: Family, draft: AuditDraft): Promise<void> {
    const { stored, puts } = this.#sealed({ ...family, status: 'unregistered' }, [draft]);
    const removals = this.#locks(family).map((key) => this.#table.deleting(key));
    await this.#write(family, stored, [...puts, ...removals]);
  }

  async #write(before: Family, stored: Family, others: readonly TransactItem[]): Promise<void> {
    const head = this.#table.putting(familyItem(stored), versionIs(before.version));
    await this.#transact('this family was changed by somebody else meanwhile', [
      head,
      this.#look(stored),
      ...others,
    ]);
  }

  async #transact(outrun: string, items: readonly TransactItem[]): Promise<void> {
    try {
      await this.#table.transact(items);
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException')) throw error;
      throw new RekeyError('ERR_CONFLICT', outrun, {
        remedy: 'read it again and decide again',
        cause: error,
      });
    }
  }

  /** Always written with the head, which it follows from. */
  #look(stored: Family): TransactItem {
    return this.#table.putting(familyLookItem(stored));
  }

  #locks({ name, secretName, refreshSecretName }: Family): Item[] {
    const { tenant } = this.#table;
    return [keys.name(tenant, name), keys.secret(tenant, secretName), keys.secret(tenant, refreshSecretName)];
  }

  #group(group: string): object {
    return {
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: group } },
    };
  }

  #sealed(family: Family, drafts: readonly AuditDraft[]): { stored: Family; puts: TransactItem[] } {
    const { holders } = family.terms;
    const { seq, chain, records } = chained({ ...family, holders }, drafts);
    return {
      stored: { ...family, seq, chain, version: family.version + 1, updatedAt: this.#table.now() },
      puts: records.map((record) => this.#table.putting(familyRecordItem(record), ABSENT)),
    };
  }
}

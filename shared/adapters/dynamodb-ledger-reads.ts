import type { AuditRecord } from '../domain/audit.ts';
import type { Claim } from '../domain/claim.ts';
import type { Credential } from '../domain/credential.ts';
import type { KnownKey } from '../domain/leak.ts';
import { isOver, type Rotation } from '../domain/rotation.ts';
import { TABLE } from '../names.ts';
import type { LedgerReads, Page, Turns } from '../ports/ledger.ts';
import {
  CALENDAR_SHARDS,
  count,
  documentOf,
  groups,
  keys,
  recordSk,
  secretNameOf,
  text,
  turnPlaceOf,
} from './ledger-items.ts';
import { LedgerTable, type Store } from './ledger-table.ts';
import { decodePage, encodePage } from './page-token.ts';

/** What the ledger tells; `DynamoDbLedger` adds what changes it. */
export class DynamoDbLedgerReads implements LedgerReads {
  protected readonly table: LedgerTable;

  constructor(store: Store) {
    this.table = new LedgerTable(store);
  }

  async credential(id: string): Promise<Credential | undefined> {
    const credential = await this.#head(id);
    return credential?.status === 'unregistered' ? undefined : credential;
  }

  async unregistered(id: string): Promise<Credential | undefined> {
    const credential = await this.#head(id);
    return credential?.status === 'unregistered' ? credential : undefined;
  }

  async #head(id: string): Promise<Credential | undefined> {
    const item = await this.table.get(keys.credential(this.table.tenant, id));
    return item && documentOf<Credential>(item);
  }

  async claimOf(fingerprint: string): Promise<Claim | undefined> {
    const item = await this.table.get(keys.claim(this.table.tenant, fingerprint));
    return item === undefined || text(item, 'givenBack') !== undefined ? undefined : documentOf<Claim>(item);
  }

  async rotation(credentialId: string, rotationId: string): Promise<Rotation | undefined> {
    const item = await this.table.get(keys.rotation(this.table.tenant, credentialId, rotationId));
    return item && documentOf<Rotation>(item);
  }

  async idByName(name: string): Promise<string | undefined> {
    const item = await this.table.get(keys.name(this.table.tenant, name));
    return item && text(item, 'credentialId');
  }

  async idBySecret(secret: string): Promise<string | undefined> {
    const item = await this.table.get(keys.secret(this.table.tenant, secretNameOf(secret)));
    return item && text(item, 'credentialId');
  }

  async idByTarget(identity: string): Promise<string | undefined> {
    const item = await this.table.get(keys.target(this.table.tenant, identity));
    return item && text(item, 'credentialId');
  }

  async byFingerprint(fingerprint: string): Promise<readonly KnownKey[]> {
    const found: KnownKey[] = [];
    const pages = this.table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.fingerprint(this.table.tenant, fingerprint, '')[TABLE.pk] },
      ConsistentRead: true,
    });
    for await (const item of pages) found.push(documentOf<KnownKey>(item));
    return found;
  }

  async knows(credentialId: string, fingerprint: string): Promise<boolean> {
    return (
      (await this.table.get(keys.fingerprint(this.table.tenant, fingerprint, credentialId))) !== undefined
    );
  }

  async turns(agents: readonly string[]): Promise<Turns> {
    const places = [...new Set(agents.map(turnPlaceOf))];
    const taken = await Promise.all(
      places.map(async (place) => {
        const item = await this.table.get(keys.turn(this.table.tenant, place));
        return [place, item === undefined ? 0 : count(item, 'version')] as const;
      }),
    );
    return new Map(taken);
  }

  async rotations(credentialId: string, limit: number): Promise<readonly Rotation[]> {
    const answer = await this.table.query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.rotations(this.table.tenant, credentialId) } },
      ScanIndexForward: false,
      Limit: limit,
    });
    const over = (answer.Items ?? []).map((item) => documentOf<Rotation>(item));
    const credential = await this.credential(credentialId);
    if (credential?.activeRotation === undefined) return over;
    const active = await this.rotation(credentialId, credential.activeRotation);
    const rest = over.filter((rotation) => rotation.id !== active?.id);
    return active === undefined ? rest : [active, ...rest].slice(0, limit);
  }

  async list(page?: string): Promise<Page<Credential>> {
    const answer = await this.table.query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.credentials(this.table.tenant) } },
      Limit: 100,
      ...(page === undefined ? {} : { ExclusiveStartKey: decodePage(page, this.table.tenant) }),
    });
    return {
      items: (answer.Items ?? []).map((item) => documentOf<Credential>(item)),
      ...(answer.LastEvaluatedKey === undefined ? {} : { next: encodePage(answer.LastEvaluatedKey) }),
    };
  }

  async unfinished(before: string): Promise<readonly { credentialId: string; rotationId: string }[]> {
    const found: { credentialId: string; rotationId: string }[] = [];
    const pages = this.table.pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} < :t`,
      ExpressionAttributeValues: { ':g': { S: groups.unfinished(this.table.tenant) }, ':t': { S: before } },
    });
    for await (const item of pages) {
      const rotation = documentOf<Rotation>(item);
      // The index lags: an item that has just ended may still stand in this group.
      if (!isOver(rotation.phase))
        found.push({ credentialId: rotation.credentialId, rotationId: rotation.id });
    }
    return found;
  }

  async due(before: string, limit: number): Promise<readonly string[]> {
    const shards = await Promise.all(
      Array.from({ length: CALENDAR_SHARDS }, (_each, shard) =>
        this.table.query({
          IndexName: TABLE.index,
          KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} <= :t`,
          ExpressionAttributeValues: {
            ':g': { S: groups.due(this.table.tenant, shard) },
            ':t': { S: before },
          },
          Limit: limit,
        }),
      ),
    );
    return shards
      .flatMap((answer) => answer.Items ?? [])
      .map((item) => ({ id: text(item, 'credentialId') ?? '', at: text(item, TABLE.indexSk) ?? '' }))
      .toSorted((a, b) => (a.at < b.at ? -1 : 1))
      .slice(0, limit)
      .map(({ id }) => id);
  }

  async lookAt(credentialId: string): Promise<string | undefined> {
    const item = await this.table.get(keys.calendar(this.table.tenant, credentialId));
    return item && text(item, TABLE.indexSk);
  }

  async *records(credentialId: string, fromSeq = 1): AsyncIterable<AuditRecord> {
    const pages = this.table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p AND ${TABLE.sk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':p': keys.credential(this.table.tenant, credentialId)[TABLE.pk],
        ':from': { S: recordSk(fromSeq) },
        ':to': { S: recordSk(999_999_999_999) },
      },
      ConsistentRead: true,
    });
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }

  async *recordsOfMonth(month: string): AsyncIterable<AuditRecord> {
    const pages = this.table.pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.month(this.table.tenant, month) } },
    });
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }
}

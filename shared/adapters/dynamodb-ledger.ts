import { randomUUID } from 'node:crypto';
import { seal, type AuditDraft, type AuditRecord } from '../domain/audit.ts';
import { toInstant, type Clock } from '../domain/clock.ts';
import { usersTaken, type Credential, type Key } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { KnownKey } from '../domain/leak.ts';
import { isOver, type Rotation } from '../domain/rotation.ts';
import { TABLE } from '../names.ts';
import type { Ledger, LedgerChange, Page } from '../ports/ledger.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';
import {
  CALENDAR_SHARDS,
  calendarItem,
  credentialItem,
  documentOf,
  groups,
  keyItem,
  keys,
  lockItem,
  recordItem,
  recordSk,
  rotationItem,
  secretNameOf,
  text,
  type Item,
} from './ledger-items.ts';
import { decodePage, encodePage } from './page-token.ts';

interface QueryAnswer {
  Items?: Item[];
  LastEvaluatedKey?: Item;
}

interface TransactItem {
  Put?: object;
  Delete?: object;
}

/** The ledger in one DynamoDB table (docs/architecture.md). */
export class DynamoDbLedger implements Ledger {
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

  async credential(id: string): Promise<Credential | undefined> {
    const credential = await this.#head(id);
    return credential?.status === 'unregistered' ? undefined : credential;
  }

  async unregistered(id: string): Promise<Credential | undefined> {
    const credential = await this.#head(id);
    return credential?.status === 'unregistered' ? credential : undefined;
  }

  async #head(id: string): Promise<Credential | undefined> {
    const item = await this.#get(keys.credential(this.#tenant, id));
    return item && documentOf<Credential>(item);
  }

  async rotation(credentialId: string, rotationId: string): Promise<Rotation | undefined> {
    const item = await this.#get(keys.rotation(this.#tenant, credentialId, rotationId));
    return item && documentOf<Rotation>(item);
  }

  async idByName(name: string): Promise<string | undefined> {
    const item = await this.#get(keys.name(this.#tenant, name));
    return item && text(item, 'credentialId');
  }

  async idBySecret(secret: string): Promise<string | undefined> {
    const item = await this.#get(keys.secret(this.#tenant, secretNameOf(secret)));
    return item && text(item, 'credentialId');
  }

  async idByTarget(identity: string): Promise<string | undefined> {
    const item = await this.#get(keys.target(this.#tenant, identity));
    return item && text(item, 'credentialId');
  }

  async byFingerprint(fingerprint: string): Promise<readonly KnownKey[]> {
    const found: KnownKey[] = [];
    const pages = this.#pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.fingerprint(this.#tenant, fingerprint, '')[TABLE.pk] },
      ConsistentRead: true,
    });
    for await (const item of pages) found.push(documentOf<KnownKey>(item));
    return found;
  }

  async knows(credentialId: string, fingerprint: string): Promise<boolean> {
    return (await this.#get(keys.fingerprint(this.#tenant, fingerprint, credentialId))) !== undefined;
  }

  async rotations(credentialId: string, limit: number): Promise<readonly Rotation[]> {
    const answer = await this.#query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.rotations(this.#tenant, credentialId) } },
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
    const answer = await this.#query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.credentials(this.#tenant) } },
      Limit: 100,
      ...(page === undefined ? {} : { ExclusiveStartKey: decodePage(page, this.#tenant) }),
    });
    return {
      items: (answer.Items ?? []).map((item) => documentOf<Credential>(item)),
      ...(answer.LastEvaluatedKey === undefined ? {} : { next: encodePage(answer.LastEvaluatedKey) }),
    };
  }

  async unfinished(before: string): Promise<readonly { credentialId: string; rotationId: string }[]> {
    const found: { credentialId: string; rotationId: string }[] = [];
    const pages = this.#pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} < :t`,
      ExpressionAttributeValues: { ':g': { S: groups.unfinished(this.#tenant) }, ':t': { S: before } },
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
        this.#query({
          IndexName: TABLE.index,
          KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} <= :t`,
          ExpressionAttributeValues: { ':g': { S: groups.due(this.#tenant, shard) }, ':t': { S: before } },
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
    const item = await this.#get(keys.calendar(this.#tenant, credentialId));
    return item && text(item, TABLE.indexSk);
  }

  async create(credential: Credential, draft: AuditDraft): Promise<Credential> {
    const { stored, puts } = this.#sealed(credential, [draft]);
    const absent = { ConditionExpression: `attribute_not_exists(${TABLE.pk})` };
    const put = (item: Item): TransactItem => ({ Put: { TableName: this.#table, Item: item, ...absent } });
    try {
      await this.#transact([
        put(lockItem(keys.name(this.#tenant, credential.name), credential.id)),
        put(lockItem(keys.secret(this.#tenant, credential.secretName), credential.id)),
        ...this.#targetKeys(credential).map((key) => put(lockItem(key, credential.id))),
        put(credentialItem(stored)),
        this.#calendar(stored),
        ...puts,
        ...this.#keys(stored, stored.current === undefined ? [] : [stored.current]),
      ]);
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException')) throw error;
      await this.#assertOwnUsers(credential, error);
      throw new RekeyError('ERR_CONFLICT', 'the name or the secret of this credential is taken', {
        cause: error,
      });
    }
    return stored;
  }

  async commit({ before, after, rotation, records, keys: brought = [] }: LedgerChange): Promise<Credential> {
    const { stored, puts } = this.#sealed({ ...after, seq: before.seq, chain: before.chain }, records);
    await this.#fenced(before, stored, rotation, [...puts, ...this.#keys(stored, brought)]);
    return stored;
  }

  async attach(
    credential: Credential,
    rotation?: Rotation,
    brought: readonly Key[] = [],
  ): Promise<Credential> {
    const { stored } = this.#sealed(credential, []);
    await this.#fenced(credential, stored, rotation, this.#keys(stored, brought));
    return stored;
  }

  async release(credential: Credential, ...records: readonly AuditDraft[]): Promise<void> {
    const { stored, puts } = this.#sealed({ ...credential, status: 'unregistered' }, records);
    const locks = [
      keys.name(this.#tenant, credential.name),
      keys.secret(this.#tenant, credential.secretName),
      ...this.#targetKeys(credential),
    ];
    const removals = locks.map((key) => ({ Delete: { TableName: this.#table, Key: key } }));
    await this.#fenced(credential, stored, undefined, [...removals, ...puts]);
  }

  #keys(stored: Credential, brought: readonly Key[]): TransactItem[] {
    return brought.map((key) => ({ Put: { TableName: this.#table, Item: keyItem(stored, key) } }));
  }

  #targetKeys({ targetIdentity }: Credential): Item[] {
    return targetIdentity === undefined ? [] : [keys.target(this.#tenant, targetIdentity)];
  }

  /** Where it is the target's users that are taken (only they, not the name or the secret), says by whom. */
  async #assertOwnUsers(credential: Credential, cause: unknown): Promise<void> {
    const { targetIdentity } = credential;
    const id = targetIdentity === undefined ? undefined : await this.idByTarget(targetIdentity);
    const holder = id === undefined ? undefined : await this.credential(id);
    if (holder === undefined || holder.name === credential.name) return;
    if (holder.secretName === credential.secretName) return;
    throw usersTaken(holder, cause);
  }

  async *records(credentialId: string, fromSeq = 1): AsyncIterable<AuditRecord> {
    const pages = this.#pages({
      KeyConditionExpression: `${TABLE.pk} = :p AND ${TABLE.sk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':p': keys.credential(this.#tenant, credentialId)[TABLE.pk],
        ':from': { S: recordSk(fromSeq) },
        ':to': { S: recordSk(999_999_999_999) },
      },
      ConsistentRead: true,
    });
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }

  async *recordsOfMonth(month: string): AsyncIterable<AuditRecord> {
    const pages = this.#pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.month(this.#tenant, month) } },
    });
    for await (const item of pages) yield documentOf<AuditRecord>(item);
  }

  /** One transaction that succeeds only if the credential is still as it was read. */
  async #fenced(
    before: Credential,
    stored: Credential,
    rotation: Rotation | undefined,
    puts: readonly TransactItem[],
  ): Promise<void> {
    const head: TransactItem = {
      Put: {
        TableName: this.#table,
        Item: credentialItem(stored),
        ConditionExpression: 'version = :v AND epoch = :e',
        ExpressionAttributeValues: { ':v': { N: String(before.version) }, ':e': { N: String(before.epoch) } },
      },
    };
    const rotated: TransactItem[] =
      rotation === undefined
        ? []
        : [{ Put: { TableName: this.#table, Item: rotationItem(this.#tenant, rotation) } }];
    try {
      await this.#transact([head, this.#calendar(stored), ...rotated, ...puts]);
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException')) throw error;
      const now = await this.credential(before.id);
      if (now !== undefined && now.epoch > before.epoch) {
        throw new RekeyError('ERR_PREEMPTED', 'an emergency has taken over this credential', {
          cause: error,
        });
      }
      throw new RekeyError('ERR_CONFLICT', 'this credential was changed by somebody else meanwhile', {
        remedy: 'read it again and decide again',
        cause: error,
      });
    }
  }

  /** Always written with the head: whoever writes may not know what the head was. */
  #calendar(stored: Credential): TransactItem {
    return { Put: { TableName: this.#table, Item: calendarItem(stored) } };
  }

  /** The credential one version on, its new records sealed into the chain, and the puts of those records. */
  #sealed(
    credential: Credential,
    drafts: readonly AuditDraft[],
  ): { stored: Credential; puts: TransactItem[] } {
    let { seq, chain } = credential;
    const puts = drafts.map((draft) => {
      const record = seal({ ...credential, seq, chain }, draft);
      seq = record.metadata.sequence;
      chain = record.integrity.hash;
      return {
        Put: {
          TableName: this.#table,
          Item: recordItem(record),
          ConditionExpression: `attribute_not_exists(${TABLE.pk})`,
        },
      };
    });
    const updatedAt = toInstant(this.#clock());
    return { stored: { ...credential, seq, chain, version: credential.version + 1, updatedAt }, puts };
  }

  async #get(key: Item): Promise<Item | undefined> {
    const answer = await this.#aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
      TableName: this.#table,
      Key: key,
      ConsistentRead: true,
    });
    return answer.Item;
  }

  #query(input: object): Promise<QueryAnswer> {
    return this.#aws.json('dynamodb', 'Query', { TableName: this.#table, ...input });
  }

  async *#pages(input: object): AsyncIterable<Item> {
    let start: Item | undefined;
    do {
      const answer = await this.#query({
        ...input,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      yield* answer.Items ?? [];
      start = answer.LastEvaluatedKey;
    } while (start !== undefined);
  }

  /** The token makes a repeated call after a lost answer the same call (DynamoDB keeps it for ten minutes). */
  async #transact(items: readonly TransactItem[]): Promise<void> {
    await this.#aws.json('dynamodb', 'TransactWriteItems', {
      TransactItems: items,
      ClientRequestToken: randomUUID(),
    });
  }
}

import { chained, type AuditDraft } from '../domain/audit.ts';
import type { Claim } from '../domain/claim.ts';
import { targetTaken, type Credential, type Key } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Rotation } from '../domain/rotation.ts';
import type { Ledger, LedgerChange } from '../ports/ledger.ts';
import { isAwsError } from './aws-client.ts';
import { DynamoDbLedgerReads } from './dynamodb-ledger-reads.ts';
import {
  calendarItem,
  claimItem,
  credentialItem,
  forgottenAt,
  heldItem,
  keyItem,
  keys,
  lockItem,
  recordItem,
  rotationItem,
  seenSignalItem,
  toldItem,
  turnItem,
  type Item,
} from './ledger-items.ts';
import { ABSENT, versionIs, type Condition, type TransactItem } from './ledger-table.ts';

/** The ledger in one DynamoDB table (docs/architecture.md). */
export class DynamoDbLedger extends DynamoDbLedgerReads implements Ledger {
  async create(credential: Credential, draft: AuditDraft): Promise<Credential> {
    const { stored, puts } = this.#sealed(credential, [draft]);
    const put = (item: Item): TransactItem => this.table.putting(item, ABSENT);
    try {
      await this.table.transact([
        put(lockItem(keys.name(this.table.tenant, credential.name), credential.id)),
        put(lockItem(keys.secret(this.table.tenant, credential.secretName), credential.id)),
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

  async commit({
    before,
    after,
    rotation,
    records,
    keys: brought = [],
    unchanged = [],
    turns = new Map(),
    held,
    taken: signal,
  }: LedgerChange): Promise<Credential> {
    const { stored, puts } = this.#sealed({ ...after, seq: before.seq, chain: before.chain }, records);
    const checks = unchanged.map((head) =>
      this.table.checking(keys.credential(this.table.tenant, head.id), asRead(head)),
    );
    const taken = [...turns].map(([place, count]) =>
      this.table.putting(turnItem(this.table.tenant, place, count + 1), versionIs(count)),
    );
    await this.#fenced(before, stored, rotation, [
      ...puts,
      ...this.#keys(stored, brought),
      ...checks,
      ...taken,
      ...(held === undefined
        ? []
        : [this.table.putting(heldItem(this.table.tenant, held), versionIs(held.version - 1))]),
      ...(signal === undefined ? [] : this.#taken(stored.id, signal)),
    ]);
    return stored;
  }

  #taken(
    credentialId: string,
    { source, id, suspicions }: NonNullable<LedgerChange['taken']>,
  ): TransactItem[] {
    const { tenant } = this.table;
    const now = this.table.now();
    const seen = { at: now, round: 0, fingerprints: [] };
    return [
      this.table.putting(seenSignalItem(tenant, source, id, seen, forgottenAt(now)), ABSENT),
      ...(suspicions === undefined
        ? []
        : [
            this.table.putting(
              toldItem(tenant, credentialId, { signal: id, at: now, suspicions }, forgottenAt(now)),
            ),
          ]),
    ];
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

  async claim(claim: Claim): Promise<Claim> {
    if (await this.#putClaim(claim, false, UNCLAIMED)) return claim;
    // Given back between the two: then it is to be had again.
    return (await this.claimOf(claim.fingerprint)) ?? this.claim(claim);
  }

  async unclaim({
    fingerprint,
    ...holder
  }: Pick<Claim, 'fingerprint' | 'credentialId' | 'token'>): Promise<void> {
    const found = await this.claimOf(fingerprint);
    if (found?.credentialId !== holder.credentialId || found.token !== holder.token) return;
    await this.#putClaim(found, true, heldBy(found));
  }

  async release(credential: Credential, ...records: readonly AuditDraft[]): Promise<void> {
    const { stored, puts } = this.#sealed({ ...credential, status: 'unregistered' }, records);
    const locks = [
      keys.name(this.table.tenant, credential.name),
      keys.secret(this.table.tenant, credential.secretName),
      ...this.#targetKeys(credential),
    ];
    const removals = locks.map((key) => this.table.deleting(key));
    await this.#fenced(credential, stored, undefined, [...removals, ...puts]);
  }

  /** Writes a claim where the condition holds; false where it doesn't. */
  async #putClaim(claim: Claim, isFree: boolean, condition: Condition): Promise<boolean> {
    try {
      await this.table.put(claimItem(this.table.tenant, claim, isFree), condition);
      return true;
    } catch (error) {
      if (!isAwsError(error, 'ConditionalCheckFailedException')) throw error;
      return false;
    }
  }

  #keys(stored: Credential, brought: readonly Key[]): TransactItem[] {
    return brought.map((key) => this.table.putting(keyItem(stored, key)));
  }

  #targetKeys({ targetIdentity }: Credential): Item[] {
    return targetIdentity === undefined ? [] : [keys.target(this.table.tenant, targetIdentity)];
  }

  /** Where it is the target's users that are taken (only they, not the name or the secret), says by whom. */
  async #assertOwnUsers(credential: Credential, cause: unknown): Promise<void> {
    const { targetIdentity } = credential;
    const id = targetIdentity === undefined ? undefined : await this.idByTarget(targetIdentity);
    const holder = id === undefined ? undefined : await this.credential(id);
    if (holder === undefined || holder.name === credential.name) return;
    if (holder.secretName === credential.secretName) return;
    throw targetTaken(holder, cause);
  }

  /** One transaction that succeeds only if the credential is still as it was read. */
  async #fenced(
    before: Credential,
    stored: Credential,
    rotation: Rotation | undefined,
    puts: readonly TransactItem[],
  ): Promise<void> {
    const head = this.table.putting(credentialItem(stored), asRead(before));
    const rotated =
      rotation === undefined ? [] : [this.table.putting(rotationItem(this.table.tenant, rotation))];
    try {
      await this.table.transact([head, this.#calendar(stored), ...rotated, ...puts]);
    } catch (error) {
      if (!isAwsError(error, 'TransactionCanceledException', 'TransactionConflictException')) throw error;
      const now = await this.credential(before.id);
      if (now !== undefined && now.epoch > before.epoch) {
        throw new RekeyError('ERR_PREEMPTED', 'an emergency has taken over this credential', {
          cause: error,
        });
      }
      throw new RekeyError(
        'ERR_CONFLICT',
        'this credential, or one that this rests on, was changed by somebody else meanwhile',
        {
          remedy: 'read it again and decide again',
          cause: error,
        },
      );
    }
  }

  /** Always written with the head: whoever writes may not know what the head was. */
  #calendar(stored: Credential): TransactItem {
    return this.table.putting(calendarItem(stored));
  }

  /** The credential one version on, its new records sealed into the chain, and the puts of those records. */
  #sealed(
    credential: Credential,
    drafts: readonly AuditDraft[],
  ): { stored: Credential; puts: TransactItem[] } {
    const { seq, chain, records } = chained(credential, drafts);
    const puts = records.map((record) => this.table.putting(recordItem(record), ABSENT));
    const updatedAt = this.table.now();
    return { stored: { ...credential, seq, chain, version: credential.version + 1, updatedAt }, puts };
  }
}

/** Nobody has taken this key, or whoever had has given it back. */
const UNCLAIMED: Condition = {
  ConditionExpression: `${ABSENT.ConditionExpression} OR givenBack = :yes`,
  ExpressionAttributeValues: { ':yes': { S: 'yes' } },
};

function heldBy({ credentialId, token }: Claim): Condition {
  return {
    ConditionExpression: 'credentialId = :c AND heldUnder = :t',
    ExpressionAttributeValues: { ':c': { S: credentialId }, ':t': { S: token } },
  };
}

/** Nobody has written this head since it was read. */
function asRead({ version, epoch }: Credential): Condition {
  return {
    ConditionExpression: 'version = :v AND epoch = :e',
    ExpressionAttributeValues: { ':v': { N: String(version) }, ':e': { N: String(epoch) } },
  };
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import type { AuditAction, AuditDraft, AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { Rotation } from '../../shared/domain/rotation.ts';
import { registeringHead } from './credential-head.ts';
import { startTable } from './table.ts';

/** When each test begins. */
export const START = Date.parse('2026-11-22T10:00:00.000Z');

const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;

/** The ledger on the table of a local stack, for the tests of one file; each has a tenant of its own. */
export class LedgerOnTable {
  stack!: LocalStack;
  aws!: AwsCalls;
  ledger!: DynamoDbLedger;
  tenant = '';
  now = START;

  constructor() {
    beforeAll(async () => {
      ({ stack: this.stack, aws: this.aws } = await startTable('ledger-test'));
    });
    afterAll(async () => {
      await this.stack.stop();
    });
    beforeEach(() => {
      this.stack.gateway.faults.clear();
      this.now = START;
      this.tenant = `tenant-${randomUUID()}`;
      this.ledger = this.of(this.tenant);
    });
  }

  /** The ledger of a tenant on the same table. */
  of(tenant: string): DynamoDbLedger {
    return new DynamoDbLedger({ aws: this.aws, table: 'ledger', tenant, clock: () => this.now });
  }

  draft(action: AuditAction, evidence?: object): AuditDraft {
    const base = { action, time: toInstant(this.now), trigger: OPERATOR };
    return evidence === undefined ? base : { ...base, evidence };
  }

  fresh(changes: Partial<Credential> = {}): Credential {
    const { accountId: account, region } = this.stack;
    return registeringHead({ account, region, tenant: this.tenant, now: START }, changes);
  }

  created(changes: Partial<Credential> = {}): Promise<Credential> {
    return this.ledger.create(this.fresh(changes), this.draft('registration-intended'));
  }

  rotationOf(credential: Credential, changes: Partial<Rotation> = {}): Rotation {
    return {
      id: randomUUID(),
      credentialId: credential.id,
      phase: 'announced',
      trigger: OPERATOR,
      epoch: 0,
      tombstoned: false,
      wakeUps: 0,
      loser: 'old',
      repairs: 0,
      checkAt: toInstant(this.now + 900_000),
      startedAt: toInstant(this.now),
      updatedAt: toInstant(this.now),
      ...changes,
    };
  }

  async recordsOf(credential: Credential, from?: number): Promise<AuditRecord[]> {
    const records: AuditRecord[] = [];
    for await (const record of this.ledger.records(credential.id, from)) records.push(record);
    return records;
  }

  /** Refuses the first calls of an operation, or loses their answers. */
  fault(operation: string, kind: 'throttle' | 'lose-answer' | 'drop', times = 1): void {
    this.stack.gateway.faults.add({ match: { service: 'dynamodb', operation }, times, action: { kind } });
  }
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { describeFamilies } from '../contract/describe-families.ts';
import { freshFamily } from '../support/families.ts';
import { startTable } from '../support/table.ts';

let stack: LocalStack;
let aws: AwsCalls;

beforeAll(async () => {
  ({ stack, aws } = await startTable('families-test'));
});
afterAll(async () => {
  await stack.stop();
});

const store = (tenant: string) => ({ aws, table: 'ledger', tenant, clock: Date.now });

describeFamilies('a table of DynamoDB', () => {
  const tenant = `t-${randomUUID()}`;
  return { ledger: new DynamoDbFamilies(store(tenant)), tenant };
});

describe('families beside credentials', () => {
  test('are no credentials for whoever looks for one, by name, by secret, by id or in the list', async () => {
    const tenant = `t-${randomUUID()}`;
    const families = new DynamoDbFamilies(store(tenant));
    const ledger = new DynamoDbLedger(store(tenant));
    const family = await families.create(freshFamily({ tenant }), {
      action: 'registered',
      time: toInstant(Date.now()),
      trigger: { kind: 'operator', actor: 'arn:operator' },
    });
    expect(await ledger.idByName(family.name)).toBeUndefined();
    expect(await ledger.idBySecret(family.secretName)).toBeUndefined();
    expect(await ledger.credential(family.id)).toBeUndefined();
    expect((await ledger.list()).items).toEqual([]);
    const month: unknown[] = [];
    for await (const record of ledger.recordsOfMonth(new Date().toISOString().slice(0, 7)))
      month.push(record);
    expect(month).toEqual([]);
  });

  test('have tokens that the table forgets 90 days after they were given, and that are no keys of a credential', async () => {
    const tenant = `t-${randomUUID()}`;
    const families = new DynamoDbFamilies(store(tenant));
    const at = '2026-11-26T10:00:00.000Z';
    const before = await families.create(freshFamily({ tenant }), {
      action: 'registered',
      time: at,
      trigger: { kind: 'operator', actor: 'arn:operator' },
    });
    const fingerprint = `sha256:${'b'.repeat(64)}`;
    const token = { familyId: before.id, fingerprint, kind: 'refresh', versionId: 'v', at } as const;
    await families.commit({ before, after: before, tokens: [token] });
    const { Item: item } = await aws.json<{ Item?: Record<string, unknown> }>('dynamodb', 'GetItem', {
      TableName: 'ledger',
      Key: { pk: { S: `${tenant}#F#FP#${fingerprint}` }, sk: { S: before.id } },
    });
    expect(item).toMatchObject({ expires: { N: String(Date.parse('2027-02-24T10:00:00.000Z') / 1000) } });
    expect(await new DynamoDbLedger(store(tenant)).byFingerprint(fingerprint)).toEqual([]);
  });

  test('whose answer is lost are written once, and stored as they were', async () => {
    const tenant = `t-${randomUUID()}`;
    const families = new DynamoDbFamilies(store(tenant));
    stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'TransactWriteItems' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    const family = await families.create(freshFamily({ tenant }), {
      action: 'registered',
      time: toInstant(Date.now()),
      trigger: { kind: 'operator', actor: 'arn:operator' },
    });
    expect(await families.family(family.id)).toEqual(family);
  });
});

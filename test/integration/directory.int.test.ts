import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { DynamoDbLeaves } from '../../shared/adapters/dynamodb-leaves.ts';
import { documentOf, type Item } from '../../shared/adapters/ledger-items.ts';
import { emptySet } from '../../shared/domain/directory.ts';
import { describeDirectory } from '../contract/describe-directory.ts';
import { describeLeaves, leafOf } from '../contract/describe-leaves.ts';
import { startTable } from '../support/table.ts';

let stack: LocalStack;
let aws: AwsCalls;

beforeAll(async () => {
  ({ stack, aws } = await startTable('directory-test'));
});
afterAll(async () => {
  await stack.stop();
});

const directoryOf = (tenant: string): DynamoDbDirectory =>
  new DynamoDbDirectory({ aws, table: 'ledger', tenant, clock: Date.now });

const leavesOf = (tenant: string, clock = Date.now): DynamoDbLeaves =>
  new DynamoDbLeaves({ aws, table: 'ledger', tenant, clock });

describeDirectory('a table of DynamoDB', () => directoryOf(`t-${randomUUID()}`));
describeLeaves('a table of DynamoDB', (clock) => leavesOf(`t-${randomUUID()}`, clock));

describe('issued certificates in DynamoDB', () => {
  test('are recorded once although the answer is lost, each by its serial number as well, and forgotten long after their end', async () => {
    const tenant = `t-${randomUUID()}`;
    stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'TransactWriteItems' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    const leaf = leafOf();
    await leavesOf(tenant).record('shop', leaf);
    const { Item: item } = await aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
      TableName: 'ledger',
      Key: { pk: { S: `${tenant}#LEAF#shop#${leaf.authority}` }, sk: { S: leaf.serial } },
    });
    expect(item && documentOf(item)).toEqual(leaf);
    const days = 90 * 86_400;
    expect(item?.['expires']).toEqual({ N: String(Date.parse(leaf.notAfter) / 1000 + days) });
  });
});

describe('the directory in DynamoDB', () => {
  const set = emptySet({ kind: 'tokens', name: 'orders' }, { cacheSeconds: 1, skewSeconds: 1 });

  test('keeps tenants apart', async () => {
    const [one, other] = [directoryOf('one'), directoryOf('other')];
    await one.write(set, { keep: [{ id: 'a', text: 'sealed' }] });
    expect([await other.read(set), await other.sealed(set, 'a')]).toEqual([undefined, undefined]);
  });

  test('writes once although the answer is lost', async () => {
    const directory = directoryOf(`t-${randomUUID()}`);
    stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'TransactWriteItems' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    expect(await directory.write(set)).toMatchObject({ version: 1 });
    expect(await directory.read(set)).toMatchObject({ version: 1 });
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { emptySet } from '../../shared/domain/directory.ts';
import { describeDirectory } from '../contract/describe-directory.ts';
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

describeDirectory('a table of DynamoDB', () => directoryOf(`t-${randomUUID()}`));

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

import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbDirectory } from '../../shared/adapters/dynamodb-directory.ts';
import { DynamoDbLeaves } from '../../shared/adapters/dynamodb-leaves.ts';
import { DynamoDbRevocations } from '../../shared/adapters/dynamodb-revocations.ts';
import { documentOf, type Item } from '../../shared/adapters/ledger-items.ts';
import { emptySet, publishedOf, type DirectoryEntry } from '../../shared/domain/directory.ts';
import { endedByHand } from '../../shared/providers/identity/by-hand.ts';
import { describeDirectory } from '../contract/describe-directory.ts';
import { describeLeaves, leafOf } from '../contract/describe-leaves.ts';
import { describeRevocations } from '../contract/describe-revocations.ts';
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

describeRevocations(
  'a table of DynamoDB',
  () => new DynamoDbRevocations({ aws, table: 'ledger', tenant: `t-${randomUUID()}`, clock: Date.now }),
);

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

/** The page says so: what is typed on the day when Rekey is down needs the AWS CLI and jq. */
const canType = ['aws', 'jq'].every((command) => spawnSync(command, ['--version']).status === 0);

describe.runIf(canType)('what a person types while Rekey is down', () => {
  const entry = (id: string): DirectoryEntry => ({
    id,
    state: 'live',
    generation: 1,
    document: { kid: id },
    publishedAt: '2026-11-26T00:00:00.000Z',
  });

  async function typed(text: string): Promise<void> {
    const cwd = await mkdtemp(join(tmpdir(), 'rekey-by-hand-'));
    const { accessKeyId, secretAccessKey } = stack.clientConfig.credentials;
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL: stack.endpoint,
      AWS_DEFAULT_REGION: stack.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      DIRECTORY_TABLE: 'ledger',
    };
    try {
      await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', text], { cwd, env });
    } finally {
      await rm(cwd, { recursive: true });
    }
  }

  test('ends that entry and no other, and Rekey goes on from there', async () => {
    const directory = directoryOf('default');
    const set = emptySet(
      { kind: 'jwks', name: `by-hand-${randomUUID().slice(0, 8)}` },
      { cacheSeconds: 300, skewSeconds: 0 },
    );
    await directory.write({ ...set, generation: 1, entries: [entry('leaked'), entry('other')] });
    await typed(endedByHand('jwks', { name: set.name, cacheSeconds: 300 }, { id: 'leaked', generation: 1 }));
    const after = await directory.read(set);
    if (after === undefined) throw new Error('the set is gone');
    expect(after.entries.map(({ id, state }) => [id, state])).toEqual([
      ['leaked', 'ended'],
      ['other', 'live'],
    ]);
    expect(publishedOf(after, Date.now()).map(({ id }) => id)).toEqual(['other']);
    // Typed again it does no harm, and what Rekey writes next is written.
    await typed(endedByHand('jwks', { name: set.name, cacheSeconds: 300 }, { id: 'leaked', generation: 1 }));
    const again = await directory.read(set);
    if (again === undefined) throw new Error('the set is gone');
    expect(await directory.write(again)).toMatchObject({ version: again.version + 1 });
  });
});

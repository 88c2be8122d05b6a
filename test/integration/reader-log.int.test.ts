import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { Item } from '../../shared/adapters/ledger-items.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { SeenReader } from '../../shared/domain/readers.ts';
import { observeReads } from '../../shared/engine/readers.ts';
import { startTable } from '../support/table.ts';
import { ACCOUNT, assumedRole, lambdaSession, readRecord, REGION } from '../support/cloudtrail.ts';

const SECRET = 'agents/orders';
const START = Date.parse('2026-11-22T10:12:54.000Z');
const MINUTE = 60_000;
const scope = { account: ACCOUNT, region: REGION, prefixes: ['agents/'], ownRoles: ['rekey-prod-rotation-'] };

let stack: LocalStack;
let aws: AwsCalls;
let now: number;
let tenant: string;
let readers: DynamoDbReaderLog;

beforeAll(async () => {
  ({ stack, aws } = await startTable('reader-test'));
});
afterAll(async () => {
  await stack.stop();
});
beforeEach(() => {
  now = START;
  stack.gateway.faults.clear();
  tenant = `t-${randomUUID()}`;
  readers = new DynamoDbReaderLog({ aws, table: 'ledger', tenant, clock: () => now });
});

const seen = (minutes: number, changes: Partial<SeenReader> = {}): SeenReader => ({
  kind: 'role',
  principal: `arn:aws:iam::${ACCOUNT}:role/crawler`,
  firstSeen: toInstant(START + minutes * MINUTE),
  lastSeen: toInstant(START + minutes * MINUTE),
  ...changes,
});
const writes = (): number =>
  stack.gateway.recorder.calls({ service: 'dynamodb', operation: 'PutItem', function: 'reader-test' }).length;

describe('a reader in the table', () => {
  test('is written once an hour, however often it is seen, and keeps when it was seen first', async () => {
    const before = writes();
    for (let minute = 0; minute <= 120; minute += 10) await readers.saw(SECRET, seen(minute));
    expect(writes() - before).toBe(2);
    expect(await readers.of(SECRET)).toEqual([{ ...seen(70), firstSeen: seen(0).firstSeen }]);
  });

  test('is one item for two who see it at once, and nobody fails', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(async (minute) => readers.saw(SECRET, seen(minute))));
    expect(answers).toContain(true);
    expect(await readers.of(SECRET)).toHaveLength(1);
  });

  test('keeps the address of each of two who see it at once, and of an item of the version before', async () => {
    const at = (address: string, minutes: number): SeenReader =>
      seen(minutes, { kind: 'session', principal: 'orders_a', address });
    await readers.saw(SECRET, at('10.0.0.1', 0));
    await Promise.all(['10.0.0.2', '10.0.0.3'].map(async (address) => readers.saw(SECRET, at(address, 1))));
    const [kept, ...others] = await readers.of(SECRET);
    expect(others).toEqual([]);
    expect(kept?.addresses?.map(({ address }) => address)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  });

  test('is of its secret alone, and forgotten 90 days after it was last seen', async () => {
    await readers.saw(SECRET, seen(0));
    await readers.saw(`${SECRET}-2`, seen(0, { kind: 'ecs' }));
    expect(await readers.of(SECRET)).toEqual([seen(0)]);
    const { Items = [] } = await aws.json<{ Items?: Item[] }>('dynamodb', 'Query', {
      TableName: 'ledger',
      KeyConditionExpression: 'pk = :p',
      ExpressionAttributeValues: { ':p': { S: `${tenant}#READER#${SECRET}` } },
    });
    expect(Items.map(({ expires }) => expires)).toEqual([{ N: String(START / 1000 + 90 * 86_400) }]);
    now = START + 91 * 86_400_000;
    expect(await readers.of(SECRET)).toEqual([]);
  });
});

describe('a batch of records', () => {
  const text = (identity: Record<string, unknown>, more: Record<string, unknown> = {}): string =>
    JSON.stringify(readRecord(SECRET, identity, more));
  const fleet = assumedRole('crawler', 'one');

  test('writes each reader once, counts what is none, and never fails on what it is given', async () => {
    const batch = [
      text(fleet),
      text(fleet, { eventTime: '2026-11-22T10:00:00Z' }),
      text(lambdaSession('r', 'orders')),
      text(fleet, { errorCode: 'AccessDenied' }),
      text(assumedRole('rekey-prod-rotation-RotateDatabaseRole-x', 'rotate')),
      JSON.stringify(readRecord('payroll/bank', fleet)),
      'no JSON',
      '',
      '{"userIdentity":'.repeat(10_000),
      JSON.stringify('x'.repeat(200_000)),
    ];
    const before = writes();
    expect(await observeReads({ readers }, batch, scope)).toEqual({
      reads: 3,
      written: 2,
      kept: 0,
      unusual: 0,
      dropped: { refused: 1, own: 1, elsewhere: 1, malformed: 4 },
    });
    expect(writes() - before).toBe(2);
    expect(await readers.of(SECRET)).toContainEqual({
      ...seen(0),
      firstSeen: '2026-11-22T10:00:00.000Z',
    });
  });

  test('is the same when it comes again, and fails where the ledger does not answer', async () => {
    stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'GetItem' },
      times: 20,
      action: { kind: 'throttle' },
    });
    await expect(observeReads({ readers }, [text(fleet)], scope)).rejects.toThrow();
    stack.gateway.faults.clear();
    expect(await observeReads({ readers }, [text(fleet)], scope)).toMatchObject({ written: 1 });
    expect(await observeReads({ readers }, [text(fleet)], scope)).toMatchObject({ reads: 1, written: 0 });
  });
});

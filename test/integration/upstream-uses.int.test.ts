import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import type { Item } from '../../shared/adapters/ledger-items.ts';
import { DEPLOYMENT, type UpstreamUse } from '../../shared/domain/upstream-use.ts';
import { startTable } from '../support/table.ts';

const at = (time: string, day = '22'): string => `2026-11-${day}T${time}.000Z`;
const use = (from: string, changes: Partial<UpstreamUse> = {}): UpstreamUse => ({
  credentialId: 'c-1',
  source: 'cloudtrail',
  keyId: 'AKIA1',
  who: 'deployer',
  scope: 's3:ListBuckets',
  outcome: 'worked',
  from: at(from),
  to: at(from),
  ...changes,
});

let stack: LocalStack;
let aws: AwsCalls;
let tenant: string;
let uses: DynamoDbUpstreamUses;

beforeAll(async () => {
  ({ stack, aws } = await startTable('uses-test'));
});
afterAll(async () => {
  await stack.stop();
});
beforeEach(() => {
  tenant = `t-${randomUUID()}`;
  uses = new DynamoDbUpstreamUses({ aws, table: 'ledger', tenant, clock: Date.now });
});

const logged = async (from: string, to: string): Promise<UpstreamUse[]> => {
  const found: UpstreamUse[] = [];
  for await (const each of uses.log('c-1', from, to)) found.push(each);
  return found;
};
const itemsOf = async (pk: string): Promise<Item[]> => {
  const { Items = [] } = await aws.json<{ Items?: Item[] }>('dynamodb', 'Query', {
    TableName: 'ledger',
    KeyConditionExpression: 'pk = :p',
    ExpressionAttributeValues: { ':p': { S: `${tenant}#${pk}` } },
  });
  return Items;
};

describe('what upstreams tell, in the table', () => {
  test('is one item for a minute, however often and in whichever order it comes', async () => {
    expect(await uses.keep([use('10:00:30'), use('10:00:10'), use('10:01:00')])).toBe(2);
    expect(await uses.keep([use('10:00:20')])).toBe(0);
    expect(await uses.keep([use('10:00:05'), use('10:00:50')])).toBe(1);
    expect(await logged(at('10:00:00'), at('11:00:00'))).toEqual([
      use('10:00:05', { to: at('10:00:50') }),
      use('10:01:00'),
    ]);
  });

  test('loses nothing where several write the same minute at once', async () => {
    const seconds = ['11', '22', '33', '44', '55'];
    await Promise.all(seconds.map(async (second) => uses.keep([use(`10:00:${second}`)])));
    expect(await logged(at('10:00:00'), at('10:01:00'))).toEqual([use('10:00:11', { to: at('10:00:55') })]);
  });

  test('is found by every time that it reaches into, a bucket of a day too, and of its credential alone', async () => {
    const bucket = use('00:00:00', { source: 'provider-usage', to: at('23:59:59'), succeeded: 7 });
    await uses.keep([bucket, use('10:00:00', { credentialId: 'c-2' })]);
    expect(await logged(at('20:00:00'), at('21:00:00'))).toEqual([bucket]);
    expect(await logged(at('00:00:00', '23'), at('01:00:00', '23'))).toEqual([]);
  });

  test('is forgotten after 35 days', async () => {
    await uses.keep([use('10:00:00')]);
    const [item] = await itemsOf('UPSTREAM#c-1');
    expect(item?.['expires']).toEqual({ N: String(Date.parse(at('10:00:00')) / 1000 + 35 * 86_400) });
  });
});

describe('the times of which sources have told', () => {
  const hour = (from: string, to: string, day = '22') => ({ from: at(from, day), to: at(to, day) });

  test('grow together where the silence between them is short, and stay apart where it is not', async () => {
    await uses.cover('cloudtrail', DEPLOYMENT, [hour('10:00:00', '10:00:01'), hour('10:20:00', '10:20:01')]);
    await uses.cover('cloudtrail', DEPLOYMENT, [hour('14:00:00', '14:00:01')]);
    await uses.cover('cloudtrail', DEPLOYMENT, [hour('10:10:00', '10:10:01')]);
    await uses.cover('provider-usage', 'c-1', [{ from: at('23:00:00'), to: at('01:00:00', '23') }]);
    await uses.cover('provider-usage', 'c-2', [hour('10:00:00', '11:00:00')]);
    const covered = await uses.coverage('c-1');
    expect(covered).toEqual(
      expect.arrayContaining([
        { source: 'cloudtrail', of: DEPLOYMENT, ...hour('10:00:00', '10:20:01') },
        { source: 'cloudtrail', of: DEPLOYMENT, ...hour('14:00:00', '14:00:01') },
        { source: 'provider-usage', of: 'c-1', from: at('23:00:00'), to: at('00:00:00', '23') },
        { source: 'provider-usage', of: 'c-1', from: at('00:00:00', '23'), to: at('01:00:00', '23') },
      ]),
    );
    expect(covered).toHaveLength(4);
  });
});

import { describe, expect, it } from 'vitest';
import type { AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../../shared/adapters/dynamodb-agents.ts';

const NOW = '2026-01-01T12:00:00.000Z';

/** A store over a table that answers every query with these items. */
function over(items: readonly object[]) {
  const calls: { operation: string; input: Record<string, unknown> }[] = [];
  const aws = {
    async json(_service: string, operation: string, input: Record<string, unknown>): Promise<unknown> {
      calls.push({ operation, input });
      return Promise.resolve({ Items: items });
    },
  };
  const agents = new DynamoDbAgents({
    // The class has private fields, which a stand-in can't have; the adapter uses `json` alone.
    aws: aws as unknown as AwsCalls,
    table: 'ledger',
    tenant: 't',
    clock: () => Date.parse(NOW),
  });
  return { agents, calls };
}

const use = (from: string, to: string): object => ({ from: { S: from }, to: { S: to } });

describe('what agents have said, in the table', () => {
  it('is read as it is now wherever a retirement stands on it: what was reported a moment ago is in it', async () => {
    const { agents, calls } = over([]);
    await agents.pact('checkout');
    await agents.sessions('checkout');
    await agents.acknowledgements({ rotation: 'r', opensAt: NOW });
    await agents.uses('c', NOW, NOW);
    expect(calls).toHaveLength(4);
    for (const { operation, input } of calls)
      expect([operation, input['ConsistentRead']]).toEqual([operation, true]);
  });

  it('has the reports that reach into a time, however long before it they began, and no others', async () => {
    const reaches = use('2026-01-01T11:49:10.000Z', '2026-01-01T12:00:01.000Z');
    const { agents, calls } = over([use('2026-01-01T11:50:10.000Z', NOW), reaches]);
    const found = await agents.uses('c', NOW, '2026-01-01T12:15:00.000Z');
    expect(found.map(({ to }) => to)).toEqual(['2026-01-01T12:00:01.000Z']);
    // Ten minutes are the longest report, and those of one minute stand in one item.
    expect(calls[0]?.input['ExpressionAttributeValues']).toMatchObject({
      ':from': { S: '2026-01-01T11:49' },
    });
  });
});

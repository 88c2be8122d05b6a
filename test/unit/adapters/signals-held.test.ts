import { expect, it } from 'vitest';
import type { AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { DynamoDbSignals } from '../../../shared/adapters/dynamodb-signals.ts';

it('signals that are held are listed over more than one page', async () => {
  let page = 0;
  const json = (): Promise<unknown> => {
    page++;
    const Items = Array.from({ length: 60 }, (_none, n) => ({ doc: { S: `{"id":"${page}-${n}"}` } }));
    return Promise.resolve({ Items, ...(page < 3 ? { LastEvaluatedKey: { pk: { S: 'k' } } } : {}) });
  };
  // The one call that listing makes.
  const aws = { json } as unknown as AwsCalls;
  const store = new DynamoDbSignals({ aws, table: 't', tenant: 't', clock: () => 0 });
  expect(new Set((await store.allHeld()).map(({ id }) => id)).size).toBe(180);
});

import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../../shared/adapters/dynamodb-ledger.ts';
import { credentialItem } from '../../../shared/adapters/ledger-items.ts';
import { decodePage, encodePage } from '../../../shared/adapters/page-token.ts';
import { bodyOf, credentialOf, eventOf, fakeServices } from '../api/fakes.ts';

const made = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('the page token of a list', () => {
  it('leads back to the last credential of its page', () => {
    const { pk, sk, gpk, gsk } = credentialItem(credentialOf());
    const key = Object.fromEntries(
      Object.entries({ pk, sk, gpk, gsk }).flatMap(([name, at]) => (at ? [[name, at]] : [])),
    );
    expect(decodePage(encodePage(key), 'default')).toEqual(key);
  });

  it('never leads to another tenant', () => {
    const { pk, sk, gpk, gsk } = decodePage(made(['id', 'orders-db']), 'ours');
    expect([pk, sk, gpk, gsk]).toEqual([
      { S: 'ours#C#id' },
      { S: 'HEAD' },
      { S: 'ours#CREDENTIALS' },
      { S: 'orders-db' },
    ]);
  });

  it.each([
    'x',
    'not-a-page',
    '%%%',
    made({ pk: { S: 'other#C#1' }, sk: { S: 'HEAD' }, gpk: { S: 'other#CREDENTIALS' }, gsk: { S: 'a' } }),
    made([]),
    made(['id']),
    made(['id', '']),
    made(['id', 7]),
    made(['a#b', 'name']),
    made(['id', 'n'.repeat(129)]),
    made('x'.repeat(2000)),
    made(null),
  ])('that is forged or broken is refused with 400 and named: %s', async (page) => {
    // Nobody listens there: what the ledger doesn't refuse by itself fails with another error.
    const aws = new AwsCalls({
      region: 'eu-central-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
      endpoint: 'http://127.0.0.1:1',
      caller: 'test',
      attempts: 1,
    });
    const ledger = new DynamoDbLedger({ aws, table: 'ledger', tenant: 'default', clock: Date.now });
    const { response } = await answer(eventOf('GET', '/v1/credentials', { query: { page } }), {
      ...fakeServices(),
      ledger,
    });
    expect(bodyOf(response)).toMatchObject({ status: 400, code: 'ERR_REQUEST', field: 'page' });
  });
});

import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { inventoryAnswer, showAnswer } from '../../../shared/api/messages.ts';
import type { SeenReader } from '../../../shared/domain/readers.ts';
import {
  bodyOf,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  ID,
  rotationOf,
  ROTATION_ID,
} from './fakes.ts';

const ROLE = 'arn:aws:iam::111122223333:role/crawler';
const reader = (changes: Partial<SeenReader> = {}): SeenReader => ({
  kind: 'role',
  principal: ROLE,
  firstSeen: '2026-11-20T00:00:00.000Z',
  lastSeen: '2026-11-22T11:55:00.000Z',
  ...changes,
});
const lambda = reader({ kind: 'lambda', name: 'orders', lastSeen: '2026-11-21T00:00:00.000Z' });

describe('GET /v1/credentials/{name}', () => {
  it('tells who was seen, whom the declaration knows and what the rotation under way still has of them', async () => {
    const holders = [{ kind: 'lambda', name: 'orders', function: 'orders:live' }] as const;
    const ledger = new FakeLedger().add(credentialOf({ activeRotation: ROTATION_ID, holders }));
    ledger.rotationsById.set(ROTATION_ID, rotationOf());
    const services = fakeServices(ledger);
    for (const each of [lambda, reader({ version: 'AWSPREVIOUS' })])
      await services.readers.saw('agents/orders-db', each);
    await services.readers.saw('agents/other', reader());
    const { response } = await answer(eventOf('GET', '/v1/credentials/orders-db'), services);
    const body = bodyOf(response);
    expect(body['readers']).toEqual([
      {
        ...reader({ version: 'AWSPREVIOUS' }),
        onLoser: true,
        proposal: { kind: 'polling', name: 'crawler', ttl: '<ttl>', principal: ROLE },
      },
      { ...lambda, declaredAs: 'orders' },
    ]);
    expect(showAnswer.parse(body).readers).toHaveLength(2);
    const { readers: _readers, ...older } = body;
    expect(showAnswer.parse(older).readers).toBeUndefined();
  });
});

describe('GET /v1/inventory', () => {
  it('tells who reads what could be imported, and of nothing else', async () => {
    const json = { kind: 'json', keys: ['username'] };
    const secret = (name: string, shape: object) => ({ name, arn: `arn:${name}`, tags: {}, shape });
    const ledger = new FakeLedger();
    ledger.idBySecret = async (name) => Promise.resolve(name === 'agents/orders-db' ? ID : undefined);
    const services = fakeServices(ledger, {
      inventory: {
        secrets: [
          secret('prod/orders', json),
          secret('prod/text', { kind: 'text' }),
          secret('agents/orders-db', json),
        ],
      },
    });
    for (const name of ['prod/orders', 'prod/text', 'agents/orders-db'])
      await services.readers.saw(name, lambda);
    const { response } = await answer(eventOf('GET', '/v1/inventory'), services);
    const { secrets } = inventoryAnswer.parse(bodyOf(response));
    expect(secrets.map(({ registered, readers }) => [registered, readers?.length])).toEqual([
      [false, 1],
      [false, undefined],
      [true, 0],
    ]);
    expect(secrets[0]?.readers?.[0]?.proposal).toMatchObject({ kind: 'lambda', function: 'orders' });
  });
});

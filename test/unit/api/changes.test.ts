import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { answer } from '../../../lambdas/control-api/routes.ts';
import {
  bodyOf,
  CALLER,
  DECLARATION,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  ID,
  ROTATION_ID,
  rotationOf,
  SUBSCRIPTION,
  underWay,
} from './fakes.ts';

describe('registering', () => {
  it('passes a checked entry on and answers 201 for a new credential', async () => {
    const services = fakeServices();
    const { response } = await answer(
      eventOf('POST', '/v1/credentials', { body: { declaration: DECLARATION } }),
      services,
    );
    expect(response.statusCode).toBe(201);
    expect(services.asked).toEqual([
      { method: 'register', input: { declaration: DECLARATION, actor: CALLER, dryRun: false } },
    ]);
    expect(bodyOf(response)).toMatchObject({ outcome: 'registered', dryRun: false, changes: [] });
  });

  it('passes on what may be a mistake, and nothing where an older function says nothing of it', async () => {
    const notices = [{ field: 'target.ownerRole', message: 'no such role', remedy: 'check its spelling' }];
    const told = async (answers: object): Promise<unknown> => {
      const request = eventOf('POST', '/v1/credentials', { body: { declaration: DECLARATION } });
      const { response } = await answer(request, fakeServices(undefined, { register: answers }));
      return bodyOf(response)['notices'];
    };
    expect(await told({ notices })).toEqual(notices);
    expect(await told({})).toEqual([]);
  });

  it('answers 200 for a dry run', async () => {
    const services = fakeServices(undefined, {
      register: { outcome: 'updated', changes: [{ field: 'mode', from: 'observe', to: 'enforce' }] },
    });
    const { response } = await answer(
      eventOf('POST', '/v1/credentials', { body: { declaration: DECLARATION, dryRun: true } }),
      services,
    );
    expect(response.statusCode).toBe(200);
    expect(bodyOf(response)).toMatchObject({ dryRun: true, changes: [{ field: 'mode' }] });
  });

  it.each([
    ['an unknown type', { ...DECLARATION, type: 'mainframe' }, 'type', 'use one of: database'],
    ['a duration without a unit', { ...DECLARATION, policy: { window: '30' } }, 'policy.window', 'correct'],
    ['an unknown key', { ...DECLARATION, windw: '30m' }, 'windw', 'remove'],
  ])('refuses %s with the field and the remedy, and nothing is done', async (_what, entry, field, remedy) => {
    const services = fakeServices();
    const { response } = await answer(
      eventOf('POST', '/v1/credentials', { body: { declaration: entry } }),
      services,
    );
    expect(response.statusCode).toBe(422);
    expect(response.headers).toMatchObject({ 'content-type': 'application/problem+json' });
    const told = bodyOf(response);
    expect(told).toMatchObject({ code: 'ERR_DECLARATION', field, status: 422 });
    expect(told['remedy']).toContain(remedy);
    expect(services.asked).toEqual([]);
  });
});

it('a declaration with several mistakes is refused with all of them', async () => {
  const body = { declaration: { ...DECLARATION, windw: '30m', mode: 'maybe', secret: 'a b' } };
  const { response } = await answer(eventOf('POST', '/v1/credentials', { body }), fakeServices());
  expect(response.statusCode).toBe(422);
  expect(bodyOf(response)).toMatchObject({
    field: 'windw',
    also: [
      { code: 'ERR_DECLARATION', field: 'secret', remedy: expect.any(String) },
      { code: 'ERR_DECLARATION', field: 'mode', remedy: expect.any(String) },
    ],
  });
});

describe('rotating', () => {
  it('takes the idempotency key as the id of the rotation', async () => {
    const services = fakeServices(undefined, { requestRotation: { rotation: rotationOf(), joined: true } });
    const { response } = await answer(
      eventOf('POST', '/v1/credentials/orders-db/rotations', { headers: { 'Idempotency-Key': ROTATION_ID } }),
      services,
    );
    expect(response.statusCode).toBe(202);
    expect(services.asked[0]?.input).toMatchObject({ token: ROTATION_ID });
    expect(bodyOf(response)).toMatchObject({ joined: true, rotation: { id: ROTATION_ID } });
  });

  it('refuses an idempotency key that is not a UUID', async () => {
    const services = fakeServices();
    const { response } = await answer(
      eventOf('POST', '/v1/credentials/orders-db/rotations', { headers: { 'idempotency-key': 'again' } }),
      services,
    );
    expect(bodyOf(response)).toMatchObject({ code: 'ERR_REQUEST', field: 'Idempotency-Key' });
    expect(services.asked).toEqual([]);
  });

  it('is refused with what is under way', async () => {
    const services = fakeServices(undefined, { requestRotation: underWay() });
    const { response } = await answer(eventOf('POST', '/v1/credentials/orders-db/rotations'), services);
    expect(response.statusCode).toBe(409);
    expect(bodyOf(response)['detail']).toContain('planner');
  });

  it('records that a holder has moved, under the caller’s name, and says what is still missing', async () => {
    const services = fakeServices(new FakeLedger().add(credentialOf()));
    const path = `/v1/credentials/orders-db/rotations/${ROTATION_ID}/confirmations`;
    const { response } = await answer(eventOf('POST', path, { body: { holder: 'report' } }), services);
    expect(response.statusCode).toBe(200);
    expect(services.asked[0]).toEqual({
      method: 'confirmHolder',
      input: {
        name: 'orders-db',
        rotationId: ROTATION_ID,
        holder: 'report',
        trigger: { kind: 'operator', actor: CALLER },
      },
    });
    expect(bodyOf(response)['rotation']).toHaveProperty('missing');
    const { response: refused } = await answer(eventOf('POST', path, { body: { holder: '' } }), services);
    expect(refused.statusCode).toBe(400);
    expect(bodyOf(refused)['field']).toBe('holder');
  });

  it('without a holder has the upstream asked whether what only a person can end is ended', async () => {
    const ledger = new FakeLedger().add(credentialOf());
    const path = `/v1/credentials/orders-db/rotations/${ROTATION_ID}/confirmations`;
    const services = fakeServices(ledger);
    const { response } = await answer(eventOf('POST', path, { body: { reason: 'deleted' } }), services);
    expect([response.statusCode, services.asked[0]?.method]).toEqual([200, 'confirmEnd']);
    const alive = new RekeyError('ERR_AWAITING_OPERATOR', 'it is still taken', { remedy: 'delete it' });
    const refusing = fakeServices(ledger, { confirmEnd: alive });
    const { response: refused } = await answer(eventOf('POST', path, { body: {} }), refusing);
    expect([refused.statusCode, bodyOf(refused)]).toMatchObject([
      409,
      { code: 'ERR_AWAITING_OPERATOR', remedy: 'delete it' },
    ]);
  });

  it('pauses with a reason, unpauses with or without, under the caller’s name', async () => {
    const services = fakeServices();
    const path = '/v1/credentials/orders-db';
    const trigger = { kind: 'operator', actor: CALLER };
    const paused = await answer(eventOf('POST', `${path}/pause`, { body: { reason: 'freeze' } }), services);
    expect(paused.response.statusCode).toBe(200);
    expect(bodyOf(paused.response)).toMatchObject({ changed: true, backstop: 'aligned' });
    await answer(eventOf('POST', `${path}/unpause`, { body: {} }), services);
    expect(services.asked).toEqual([
      { method: 'pause', input: { name: 'orders-db', trigger: { ...trigger, reason: 'freeze' } } },
      { method: 'unpause', input: { name: 'orders-db', trigger } },
    ]);
    const unsaid = await answer(eventOf('POST', `${path}/pause`, { body: {} }), services);
    expect([unsaid.response.statusCode, bodyOf(unsaid.response)['field']]).toEqual([400, 'reason']);
  });

  it('unregisters by name or id, and names what works on', async () => {
    const alive = [{ id: 'orders_a', generation: 1, token: 'not shown' }];
    const services = fakeServices(new FakeLedger(), { unregister: { alive } });
    const body = { reason: 'gone', dryRun: true };
    const { response } = await answer(
      eventOf('POST', `/v1/credentials/${ID}/unregister`, { body }),
      services,
    );
    expect(bodyOf(response)).toEqual({
      outcome: 'unregistered',
      dryRun: true,
      name: 'orders-db',
      id: ID,
      alive: [{ id: 'orders_a', generation: 1 }],
      unconfirmed: [],
    });
    expect(services.asked[0]?.input).toMatchObject({ name: ID, dryRun: true, unconfirmed: false });
  });

  it('hands on that an unconfirmed end is accepted, with a reason only, and names what may work', async () => {
    const unconfirmed = [{ id: 'orders_a', generation: 1, token: 'not shown' }];
    const services = fakeServices(new FakeLedger(), { unregister: { unconfirmed } });
    const path = '/v1/credentials/orders-db/unregister';
    const body = { reason: 'its server is gone', unconfirmed: true };
    const { response } = await answer(eventOf('POST', path, { body }), services);
    expect(bodyOf(response)).toMatchObject({ unconfirmed: [{ id: 'orders_a', generation: 1 }], alive: [] });
    expect(response.body).not.toContain('not shown');
    expect(services.asked[0]?.input).toMatchObject({ unconfirmed: true, dryRun: false });
    const unsaid = await answer(eventOf('POST', path, { body: { unconfirmed: true } }), services);
    expect([unsaid.response.statusCode, bodyOf(unsaid.response)['field']]).toEqual([400, 'reason']);
    expect(services.asked).toHaveLength(1);
  });

  it('lets go of no authority whose list has to be signed for keys that Rekey keeps under it', async () => {
    const type = 'certificate-authority';
    const name = { name: 'shop', trustDomain: 'shop.example', leafSeconds: 60, clockSkewSeconds: 1 };
    const authority = credentialOf({ type, provider: 'x509', name: 'shop-ca', target: name });
    const target = { authority: 'shop-ca', trustDomain: 'shop.example', holder: 'lb', leafSeconds: 60 };
    const leaf = credentialOf({ id: 'id-of-leaf', type, provider: 'leaf', name: 'lb-cert', target });
    const ledger = new FakeLedger().add(authority).add(leaf);
    const services = fakeServices(ledger);
    const path = '/v1/credentials/shop-ca/unregister';
    const send = async () => answer(eventOf('POST', path, { body: { reason: 'gone' } }), services);
    const { response } = await send();
    expect(response.statusCode).toBe(409);
    expect(bodyOf(response)).toMatchObject({
      code: 'ERR_CONFLICT',
      field: 'name',
      detail: expect.stringContaining('lb-cert'),
    });
    expect(services.asked).toEqual([]);
    ledger.credentials.delete(leaf.id);
    expect((await send()).response.statusCode).toBe(200);
  });

  it('asks for a rollback by credential and rotation', async () => {
    const services = fakeServices();
    const { response } = await answer(
      eventOf('POST', `/v1/credentials/orders-db/rotations/${ROTATION_ID}/rollback`, {
        body: { reason: 'bad' },
      }),
      services,
    );
    expect(response.statusCode).toBe(202);
    expect(services.asked[0]).toEqual({
      method: 'requestRollback',
      input: {
        name: 'orders-db',
        rotationId: ROTATION_ID,
        trigger: { kind: 'operator', actor: CALLER, reason: 'bad' },
      },
    });
  });
});

describe('subscriptions', () => {
  const to = SUBSCRIPTION.to;

  it('are made for the caller, whoever the body says', async () => {
    const services = fakeServices();
    const done = await answer(
      eventOf('POST', '/v1/subscriptions', { body: { fleet: 'shop', to, events: ['halt'] } }),
      services,
    );
    expect(done.response.statusCode).toBe(201);
    expect(services.asked).toEqual([
      { method: 'subscribe', input: { fleet: 'shop', to, events: ['halt'], dryRun: false, actor: CALLER } },
    ]);
    expect(bodyOf(done.response)).toMatchObject({ outcome: 'subscribed', subscription: SUBSCRIPTION });
  });

  it('for trial, or there already, are no creation', async () => {
    const body = { fleet: 'shop', to };
    const trial = await answer(
      eventOf('POST', '/v1/subscriptions', { body: { ...body, dryRun: true } }),
      fakeServices(),
    );
    const again = await answer(
      eventOf('POST', '/v1/subscriptions', { body }),
      fakeServices(undefined, { subscribe: { outcome: 'unchanged' } }),
    );
    expect([trial.response.statusCode, again.response.statusCode]).toEqual([200, 200]);
  });

  it('are listed and ended by id', async () => {
    const services = fakeServices();
    const listed = await answer(eventOf('GET', '/v1/subscriptions'), services);
    expect(bodyOf(listed.response)).toEqual({ subscriptions: [SUBSCRIPTION] });
    const path = `/v1/subscriptions/${SUBSCRIPTION.id}/end`;
    const ended = await answer(eventOf('POST', path, { body: {} }), services);
    expect(bodyOf(ended.response)).toMatchObject({ outcome: 'unsubscribed', id: SUBSCRIPTION.id });
    expect(services.asked.at(-1)).toEqual({
      method: 'unsubscribe',
      input: { id: SUBSCRIPTION.id, dryRun: false, actor: CALLER },
    });
  });

  it.each([
    [{ to: 'arn' }, 'fleet'],
    [{ fleet: '', to: 'arn' }, 'fleet'],
    [{ fleet: 'shop' }, 'to'],
    [{ fleet: 'shop', to: 'arn', events: [] }, 'events'],
    [{ fleet: 'shop', to: 'arn', events: ['birthday'] }, 'events[0]'],
    [{ fleet: 'shop', to: 'arn', actor: 'arn:somebody' }, 'actor'],
  ])('%j is refused, and nothing asked', async (body, field) => {
    const services = fakeServices();
    const { response } = await answer(eventOf('POST', '/v1/subscriptions', { body }), services);
    expect([response.statusCode, bodyOf(response)['field']]).toEqual([400, field]);
    expect(services.asked).toEqual([]);
  });
});

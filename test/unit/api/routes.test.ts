import { describe, expect, it, vi } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { ControlServices } from '../../../lambdas/control-api/route.ts';
import { resolveForEmergency } from '../../../lambdas/control-api/emergency.ts';
import { MAX_BODY_BYTES } from '../../../shared/api/messages.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { LeakMatch } from '../../../shared/engine/leak.ts';
import {
  bodyOf,
  CALLER,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  ID,
  impactBody,
  ROTATION_ID,
  rotationOf,
  SUBSCRIPTION,
  underWay,
} from './fakes.ts';

const declaration = {
  name: 'orders-db',
  type: 'database',
  provider: 'postgresql',
  secret: 'agents/orders-db',
  admin: 'admin/orders-db',
  target: { host: 'db.internal' },
};

function ledgerWithRotation(changes: Partial<Credential> = {}): FakeLedger {
  const ledger = new FakeLedger().add(credentialOf({ activeRotation: ROTATION_ID, ...changes }));
  ledger.rotationsById.set(ROTATION_ID, rotationOf());
  return ledger;
}

describe('who calls', () => {
  it('is refused where the request carries no authenticated caller', async () => {
    for (const caller of [null, '']) {
      const services = fakeServices();
      const { response } = await answer(eventOf('GET', '/v1/credentials', { caller }), services);
      expect(response.statusCode).toBe(403);
      expect(bodyOf(response)).toMatchObject({
        code: 'ERR_FORBIDDEN',
        type: 'urn:rekey:error:ERR_FORBIDDEN',
      });
      expect(services.asked).toEqual([]);
    }
  });

  it('is the actor of what is done, whatever the body claims', async () => {
    const services = fakeServices(ledgerWithRotation());
    const body = { reason: 'somebody left', actor: 'arn:aws:iam::111122223333:user/somebody-else' };
    const refused = await answer(eventOf('POST', '/v1/credentials/orders-db/rotations', { body }), services);
    expect(refused.response.statusCode).toBe(400);
    expect(services.asked).toEqual([]);
    await answer(
      eventOf('POST', '/v1/credentials/orders-db/rotations', { body: { reason: 'somebody left' } }),
      services,
    );
    expect(services.asked).toEqual([
      {
        method: 'requestRotation',
        input: {
          name: 'orders-db',
          token: expect.stringMatching(/^[0-9a-f-]{36}$/),
          trigger: { kind: 'operator', actor: CALLER, reason: 'somebody left' },
        },
      },
    ]);
  });
});

describe('reading', () => {
  it('shows a credential with its policy as a declaration writes it and without certificates or task tokens', async () => {
    const { response } = await answer(
      eventOf('GET', '/v1/credentials/orders-db'),
      fakeServices(ledgerWithRotation()),
    );
    expect(response.statusCode).toBe(200);
    const { credential, rotations } = bodyOf(response);
    expect(credential).toMatchObject({
      name: 'orders-db',
      target: { host: 'db.internal', tls: { mode: 'verify-full' } },
      current: { fingerprint: 'sha256:1111', handle: { id: 'orders_a', generation: 1 }, version: ID },
      policy: { interval: '30d', window: '30m', deadline: '1h', cap: '4h', soak: '90s', announce: '0s' },
      dueAt: '2026-12-01T00:00:00.000Z',
      holders: [{ kind: 'polling', name: 'order-agents', ttl: '5m' }],
      rotation: { id: ROTATION_ID, phase: 'window', canRollBack: true, over: false, loser: 'old' },
    });
    expect(rotations).toHaveLength(1);
    expect(response.body).not.toContain('BEGIN');
    expect(response.body).not.toContain('TASK-TOKEN');
  });

  it('finds a credential by its id too', async () => {
    const { response } = await answer(
      eventOf('GET', `/v1/credentials/${ID}`),
      fakeServices(ledgerWithRotation()),
    );
    expect(response.statusCode).toBe(200);
  });

  it('lists credentials with the rotation that is under way', async () => {
    const { response } = await answer(eventOf('GET', '/v1/credentials'), fakeServices(ledgerWithRotation()));
    expect(bodyOf(response)['credentials']).toMatchObject([
      { name: 'orders-db', rotation: { phase: 'window' } },
    ]);
  });

  it('shows one rotation, and answers 404 for a rotation of another credential', async () => {
    const ledger = ledgerWithRotation().add(credentialOf({ id: 'other', name: 'other-db' }));
    const own = await answer(
      eventOf('GET', `/v1/credentials/orders-db/rotations/${ROTATION_ID}`),
      fakeServices(ledger),
    );
    expect(own.response.statusCode).toBe(200);
    const other = await answer(
      eventOf('GET', `/v1/credentials/other-db/rotations/${ROTATION_ID}`),
      fakeServices(ledger),
    );
    expect(other.response.statusCode).toBe(404);
  });

  it('shows the pause that has stopped a rotation, in a list, with its credential and alone; not one that is over', async () => {
    const paused = { since: '2026-11-22T11:00:00.000Z', actor: CALLER, reason: 'freeze' };
    const ledger = ledgerWithRotation({ paused });
    const over = rotationOf({ id: 'over', phase: 'completed' });
    ledger.rotationsById.set(over.id, over);
    const read = async (path: string) =>
      bodyOf((await answer(eventOf('GET', path), fakeServices(ledger))).response);
    const stopped = { id: ROTATION_ID, paused };
    expect(await read('/v1/credentials')).toMatchObject({ credentials: [{ rotation: stopped }] });
    expect(await read(`/v1/credentials/orders-db/rotations/${ROTATION_ID}`)).toMatchObject({
      rotation: stopped,
    });
    const { credential, rotations } = await read('/v1/credentials/orders-db');
    expect(credential).toMatchObject({ rotation: stopped });
    expect((rotations as { id: string }[]).filter((each) => 'paused' in each)).toMatchObject([stopped]);
  });

  it('strips the stage of an API that has a named one', async () => {
    const { response } = await answer(
      eventOf('GET', '/prod/v1/credentials', { stage: 'prod' }),
      fakeServices(ledgerWithRotation()),
    );
    expect(response.statusCode).toBe(200);
  });
});

describe('registering', () => {
  it('passes a checked entry on and answers 201 for a new credential', async () => {
    const services = fakeServices();
    const { response } = await answer(
      eventOf('POST', '/v1/credentials', { body: { declaration } }),
      services,
    );
    expect(response.statusCode).toBe(201);
    expect(services.asked).toEqual([
      { method: 'register', input: { declaration, actor: CALLER, dryRun: false } },
    ]);
    expect(bodyOf(response)).toMatchObject({ outcome: 'registered', dryRun: false, changes: [] });
  });

  it('passes on what may be a mistake, and nothing where an older function says nothing of it', async () => {
    const notices = [{ field: 'target.ownerRole', message: 'no such role', remedy: 'check its spelling' }];
    const told = async (answers: object): Promise<unknown> => {
      const request = eventOf('POST', '/v1/credentials', { body: { declaration } });
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
      eventOf('POST', '/v1/credentials', { body: { declaration, dryRun: true } }),
      services,
    );
    expect(response.statusCode).toBe(200);
    expect(bodyOf(response)).toMatchObject({ dryRun: true, changes: [{ field: 'mode' }] });
  });

  it.each([
    ['an unknown type', { ...declaration, type: 'mainframe' }, 'type', 'use one of: database'],
    ['a duration without a unit', { ...declaration, policy: { window: '30' } }, 'policy.window', 'correct'],
    ['an unknown key', { ...declaration, windw: '30m' }, 'windw', 'remove'],
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
  const body = { declaration: { ...declaration, windw: '30m', mode: 'maybe', secret: 'a b' } };
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

describe('bad requests', () => {
  it.each([
    ['a body that is not JSON', { raw: '{"declaration": s3cr3t' }, 400],
    ['an array', { raw: '[]' }, 400],
    ['an unknown key', { body: { declaration, force: true } }, 400],
    [
      'a body beyond the limit',
      { raw: JSON.stringify({ declaration, pad: 'x'.repeat(MAX_BODY_BYTES) }) },
      413,
    ],
    [
      'a body beyond the limit in base64',
      { raw: Buffer.from(' '.repeat(MAX_BODY_BYTES + 1)).toString('base64'), base64: true },
      413,
    ],
  ])('with %s are refused and nothing is done', async (_what, options, status) => {
    const services = fakeServices();
    const { response, unexpected } = await answer(eventOf('POST', '/v1/credentials', options), services);
    expect(response.statusCode).toBe(status);
    expect(bodyOf(response)).toMatchObject({ code: 'ERR_REQUEST', status });
    expect(response.body).not.toContain('s3cr3t');
    expect(services.asked).toEqual([]);
    expect(unexpected).toBeUndefined();
  });

  it('to unknown routes are 404, with other methods 405 and the ones allowed', async () => {
    for (const path of [
      '/',
      '/v2/credentials',
      '/v1/credentials/',
      '/v1/nothing',
      '/v1/credentials/a%2Fb',
      '/v1/credentials/%E0',
    ]) {
      const { response } = await answer(eventOf('GET', path), fakeServices());
      expect([path, response.statusCode]).toEqual([path, 404]);
    }
    const { response } = await answer(eventOf('DELETE', '/v1/credentials'), fakeServices());
    expect(response.statusCode).toBe(405);
    expect(response.headers).toMatchObject({ allow: 'GET, POST' });
  });

  it('get a base64 body decoded', async () => {
    const raw = Buffer.from(JSON.stringify({ declaration })).toString('base64');
    const { response } = await answer(
      eventOf('POST', '/v1/credentials', { raw, base64: true }),
      fakeServices(),
    );
    expect(response.statusCode).toBe(201);
  });
});

describe('errors', () => {
  it('of unknown cause are a 500 without a word of theirs, kept for the log', async () => {
    const failure = new Error('password=hunter2 at 10.0.0.7');
    const services = fakeServices(undefined, { register: failure });
    const handled = await answer(eventOf('POST', '/v1/credentials', { body: { declaration } }), services);
    expect(handled.response.statusCode).toBe(500);
    expect(bodyOf(handled.response)).toMatchObject({ code: 'ERR_INTERNAL', status: 500 });
    expect(handled.response.body).not.toMatch(/hunter2|10\.0\.0\.7/);
    expect(handled.unexpected).toBe(failure);
  });

  it.each([
    ['ERR_ROTATION_UNDER_WAY', 409],
    ['ERR_MODE', 409],
    ['ERR_NOT_FOUND', 404],
    ['ERR_UNAVAILABLE', 503],
    ['ERR_TIMEOUT', 504],
  ] as const)('%s is answered with %i, its message and its remedy', async (code, status) => {
    const services = fakeServices(ledgerWithRotation(), {
      requestRotation: new RekeyError(code, 'what is wrong', { remedy: 'what to do', field: 'name' }),
    });
    const { response } = await answer(eventOf('POST', '/v1/credentials/orders-db/rotations'), services);
    expect(response.statusCode).toBe(status);
    expect(bodyOf(response)).toEqual({
      type: `urn:rekey:error:${code}`,
      title: expect.any(String),
      status,
      detail: 'what is wrong',
      code,
      field: 'name',
      remedy: 'what to do',
    });
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
    const { response: refused } = await answer(eventOf('POST', path, { body: {} }), services);
    expect(refused.statusCode).toBe(400);
    expect(bodyOf(refused)['field']).toBe('holder');
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

describe('a leaked value', () => {
  const fingerprints = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
  const body = { fingerprints, incident: 'INC-9', reason: 'seen in a chat' };
  const key = {
    credentialId: ID,
    handle: { id: 'orders_a', generation: 1, token: 'never shown' },
    versionId: ID,
    fingerprint: fingerprints[0] ?? '',
    issuedAt: '2026-11-01T00:00:00.000Z',
  };
  const asking = async (found: readonly LeakMatch[], more: object = {}) => {
    const services = {
      ...fakeServices(),
      reportLeak: vi.fn<ControlServices['reportLeak']>(async () => found),
    };
    const headers = { 'idempotency-key': ROTATION_ID };
    const { response } = await answer(
      eventOf('POST', '/v1/leaks', { body: { ...body, ...more }, headers }),
      services,
    );
    return { response, services };
  };

  it('is reported by its fingerprints, under the caller’s name and key', async () => {
    const { response, services } = await asking([{ key, credential: credentialOf(), outcome: 'live' }]);
    expect(services.reportLeak).toHaveBeenCalledWith({
      fingerprints,
      incidentId: 'INC-9',
      reason: body.reason,
      actor: CALLER,
      replace: true,
      dryRun: false,
      token: ROTATION_ID,
    });
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toMatchObject({
      outcome: 'live',
      emergency: ROTATION_ID,
      matches: [{ credential: 'orders-db', outcome: 'live', holders: ['order-agents'] }],
    });
    expect(response.body).not.toContain('never shown');
  });

  it('starts nothing in a dry run, and nothing where it is nobody’s', async () => {
    const dry = await asking([{ key, credential: credentialOf(), outcome: 'live' }], { dryRun: true });
    expect([dry.response.statusCode, bodyOf(dry.response)['emergency']]).toEqual([200, undefined]);
    const none = await asking([]);
    expect(bodyOf(none.response)).toEqual({ outcome: 'not-ours', dryRun: false, matches: [] });
  });

  it('tells what to type only where Rekey may not: by hand, a later generation in the slot would die', async () => {
    const credential = credentialOf({ byHand: 'ALTER ROLE …' });
    const { response } = await asking([
      { key, credential, outcome: 'observed' },
      { key, credential, outcome: 'not-confirmed', why: 'no answer' },
    ]);
    const { outcome, matches } = bodyOf(response);
    expect(outcome).toBe('not-confirmed');
    expect(matches).toMatchObject([{ byHand: 'ALTER ROLE …' }, { why: 'no answer' }]);
    expect(JSON.stringify(matches).match(/byHand/g)).toHaveLength(1);
  });

  it.each([
    ['fingerprints', { fingerprints: [] }],
    ['fingerprints[0]', { fingerprints: ['the value itself'] }],
    ['fingerprints', { fingerprints: Array.from({ length: 51 }, () => fingerprints[0]) }],
    ['incident', { incident: 'has spaces in it' }],
    ['reason', { reason: '' }],
  ])('without a proper %s is refused, and not said again', async (field, bad) => {
    const { response, services } = await asking([], bad);
    expect([response.statusCode, bodyOf(response)['field']]).toEqual([400, field]);
    expect(response.body).not.toContain('the value itself');
    expect(services.reportLeak).not.toHaveBeenCalled();
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

describe('the impact of a rotation', () => {
  it('is told with every reason against it', async () => {
    expect(await impactBody(credentialOf({ mode: 'observe' }), rotationOf())).toMatchObject({
      credential: 'orders-db',
      refusals: [{ code: 'ERR_MODE' }, { code: 'ERR_WINDOW_OPEN' }],
      notPlanned: expect.stringContaining('observe'),
    });
    expect(await impactBody(credentialOf())).toMatchObject({ refusals: [], agents: 1, planned: {} });
  });
});

describe('an emergency', () => {
  const body = { credentials: ['orders-db'], incident: 'INC-7', reason: 'key in a public repository' };

  it('starts for names and ids, each credential once', async () => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', {
        body: { ...body, credentials: ['orders-db', ID, 'orders-db'] },
        headers: { 'idempotency-key': ROTATION_ID },
      }),
      services,
    );
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toEqual({ id: 'emergency-1', credentials: [ID], unresolved: [] });
    expect(services.asked).toEqual([
      {
        method: 'startEmergency',
        input: {
          credentials: [{ credentialId: ID, type: 'database' }],
          incidentId: 'INC-7',
          reason: body.reason,
          actor: CALLER,
          replace: true,
          token: ROTATION_ID,
        },
      },
    ]);
  });

  it('names every unknown credential in one error and starts nothing', async () => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', {
        body: { ...body, credentials: ['orders-db', 'typo-a', 'typo-b'] },
      }),
      services,
    );
    expect(response.statusCode).toBe(404);
    expect(bodyOf(response)['detail']).toContain('typo-a, typo-b');
    expect(services.asked).toEqual([]);
  });

  describe('of what Rekey has let go of', () => {
    const target = { host: 'db.internal', port: 5432, database: 'orders', ownerRole: 'orders' };
    const gone = credentialOf({ status: 'unregistered', target, targetIdentity: 'orders at db.internal' });
    const asking = (ledger: FakeLedger, credentials: readonly string[]) => {
      const services = fakeServices(ledger);
      return {
        services,
        asked: answer(eventOf('POST', '/v1/emergencies', { body: { ...body, credentials } }), services),
      };
    };

    /** What is let go of, and who has its owner role now. */
    const inherited = (former: Credential, heir: Credential): FakeLedger => {
      const ledger = new FakeLedger().add(former).add(heir);
      ledger.idByName = async () => undefined;
      ledger.idByTarget = async () => heir.id;
      return ledger;
    };

    it('starts nothing while that is not complete, and says what to type and how to complete it', async () => {
      const { services, asked } = asking(new FakeLedger().add(gone), ['orders-db', ID]);
      const { response } = await asked;
      expect(response.statusCode).toBe(409);
      const { code, field, detail, remedy } = bodyOf(response);
      expect([code, field]).toEqual(['ERR_MODE', 'credentials']);
      expect(detail).toMatch(/orders-db is being let go of.*doesn't manage.*Nothing was revoked/);
      expect(remedy).toMatch(
        /by hand, now:[\s\S]*ALTER ROLE "orders_a" NOLOGIN[\s\S]*rekey unregister orders-db/,
      );
      expect(services.asked).toEqual([]);
    });

    it('by its id also once it is complete, beside the names that nobody knows', async () => {
      const ledger = new FakeLedger().add(gone);
      ledger.idByName = async () => undefined;
      const { services, asked } = asking(ledger, [ID, 'typo-a']);
      const { detail, remedy, also } = bodyOf((await asked).response);
      expect(detail).toContain(`orders-db (${ID}) was unregistered`);
      expect(remedy).toMatch(/ALTER ROLE "orders_a" NOLOGIN/);
      expect(remedy).not.toContain('rekey unregister');
      expect(also).toMatchObject([{ code: 'ERR_NOT_FOUND', message: expect.stringContaining('typo-a') }]);
      expect(services.asked).toEqual([]);
    });

    it('tells of whoever has its logins by now, instead of what would end them unseen', async () => {
      const heir = credentialOf({ id: 'heir', name: 'new-orders-db', target });
      const { remedy } = bodyOf((await asking(inherited(gone, heir), [ID]).asked).response);
      expect(remedy).toContain('rekey revoke new-orders-db');
      expect(remedy).not.toContain('ALTER ROLE');
    });

    it('tells of both where somebody has one of its logins by now', async () => {
      const heir = credentialOf({
        id: 'heir',
        name: 'new-orders-db',
        target: { ...target, users: ['orders_a', 'orders_x'] },
      });
      const live = ['orders_a', 'orders_b'].map((id) => ({ id, generation: 1 }));
      const { remedy } = bodyOf((await asking(inherited({ ...gone, live }, heir), [ID]).asked).response);
      expect(remedy).toMatch(/ALTER ROLE "orders_b" NOLOGIN[\s\S]*other logins.*rekey revoke new-orders-db/);
      expect(remedy).not.toContain('ALTER ROLE "orders_a"');
    });

    it('tells what to type where whoever has its logins is only observed, which Rekey does not revoke', async () => {
      const heir = credentialOf({ id: 'heir', name: 'new-orders-db', target, adoption: 'observed' });
      const { remedy } = bodyOf((await asking(inherited(gone, heir), [ID]).asked).response);
      expect(remedy).toMatch(/ALTER ROLE "orders_a" NOLOGIN/);
      expect(remedy).not.toContain('new-orders-db');
    });

    it.each([
      ['falls silent', () => new Promise<never>(() => {})],
      ['fails', () => Promise.reject(new Error('ECONNRESET'))],
    ])('takes a name that was found at its word where the ledger %s then', async (_what, unregistered) => {
      const ledger = Object.assign(new FakeLedger().add(credentialOf()), { unregistered });
      expect(await resolveForEmergency(ledger, ['orders-db'], 20)).toEqual({
        credentials: [{ credentialId: ID, type: 'database' }],
        unresolved: [],
      });
    });

    it('asks nothing more of one that its id has found', async () => {
      const ledger = new FakeLedger().add(credentialOf());
      const more = [vi.spyOn(ledger, 'unregistered'), vi.spyOn(ledger, 'idByName')];
      expect(await resolveForEmergency(ledger, [ID])).toEqual({
        credentials: [{ credentialId: ID, type: 'database' }],
        unresolved: [],
      });
      for (const read of more) expect(read).not.toHaveBeenCalled();
    });
  });

  it.each(['silent', 'failing'] as const)('starts with ids while the ledger is %s', async (state) => {
    const ledger = ledgerWithRotation();
    ledger.state = state;
    const services = fakeServices(ledger);
    const began = performance.now();
    const { response } = await answer(
      eventOf('POST', '/v1/emergencies', { body: { ...body, credentials: [ID, 'orders-db'] } }),
      services,
    );
    expect(performance.now() - began).toBeLessThan(1500);
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toMatchObject({ credentials: [ID], unresolved: ['orders-db'] });
    expect(services.asked).toHaveLength(1);
  });

  it('says that it needs ids where the ledger does not answer and only names were given', async () => {
    const ledger = ledgerWithRotation();
    ledger.state = 'silent';
    await expect(resolveForEmergency(ledger, ['orders-db'], 20)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      remedy: expect.stringContaining('ids'),
    });
  });

  it('takes as long as the ledger goes on answering', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `db-${index}`);
    const ledger = new FakeLedger();
    let atOnce = 0;
    let most = 0;
    let reads = 0;
    ledger.idByName = async (name) => {
      reads++;
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setTimeout(resolve, 15));
      atOnce--;
      return `id-of-${name}`;
    };
    ledger.credential = async () => {
      reads++;
      return undefined;
    };
    const { credentials, unresolved } = await resolveForEmergency(ledger, names, 60);
    expect(unresolved).toEqual([]);
    expect(credentials).toEqual(names.map((name) => ({ credentialId: `id-of-${name}` })));
    expect(reads).toBe(400);
    expect(most).toBeLessThanOrEqual(20);
  });

  it.each([
    ['credentials', { ...body, credentials: [] }],
    ['credentials', { ...body, credentials: Array.from({ length: 201 }, () => ID) }],
    ['incident', { ...body, incident: 'has spaces in it' }],
    ['reason', { credentials: ['a'], incident: 'INC-7' }],
  ])('without a proper %s is refused', async (field, bad) => {
    const services = fakeServices(ledgerWithRotation());
    const { response } = await answer(eventOf('POST', '/v1/emergencies', { body: bad }), services);
    expect(response.statusCode).toBe(400);
    expect(bodyOf(response)['field']).toBe(field);
    expect(services.asked).toEqual([]);
  });

  it('shows how it stands', async () => {
    const services = fakeServices(undefined, {
      emergency: {
        status: 'SUCCEEDED',
        startedAt: 'a',
        endedAt: 'b',
        results: [{ credentialId: ID, revoked: true }],
      },
    });
    const { response } = await answer(eventOf('GET', '/v1/emergencies/emergency-1'), services);
    expect(bodyOf(response)).toEqual({
      id: 'emergency-1',
      status: 'SUCCEEDED',
      startedAt: 'a',
      endedAt: 'b',
      results: [{ credentialId: ID, revoked: true }],
    });
  });
});

describe('the plan', () => {
  it('says for every credential when it rotates and why, or why it does not', async () => {
    const ledger = new FakeLedger()
      .add(credentialOf())
      .add(
        credentialOf({
          id: 'id-2',
          name: 'shared-db',
          paused: { since: '2026-11-20T00:00:00.000Z', actor: CALLER, reason: 'freeze' },
          holders: [{ kind: 'polling', name: 'fleet', ttlSeconds: 300, agents: 30 }],
        }),
      )
      .add(
        credentialOf({
          id: 'id-3',
          name: 'failing-db',
          current: {
            handle: { id: 'a', generation: 1 },
            versionId: 'v',
            fingerprint: 'sha256:1',
            issuedAt: '2026-10-20T00:00:00.000Z',
          },
          plan: { of: 'v', attempts: 2, notBefore: '2026-11-22T13:00:00.000Z' },
        }),
      );
    const { response } = await answer(eventOf('GET', '/v1/plan'), fakeServices(ledger));
    expect(response.statusCode).toBe(200);
    const every30 = 'every 30 days: computed for write access to normal data by 1 agent';
    expect(bodyOf(response)['plan']).toEqual([
      {
        credential: 'orders-db',
        credentialId: ID,
        mode: 'enforce',
        status: 'active',
        starts: '2026-11-29T00:00:00.000Z',
        deadline: '2026-12-01T00:00:00.000Z',
        why: every30,
        attempts: 0,
        findings: [],
      },
      {
        credential: 'shared-db',
        credentialId: 'id-2',
        mode: 'enforce',
        status: 'active',
        notPlanned: `paused since 2026-11-20T00:00:00.000Z by ${CALLER}: freeze`,
        deadline: '2026-12-01T00:00:00.000Z',
        why: 'every 30 days: declared, the maximum of its type, looser than the 7 days computed for write access to normal data by 30 agents',
        attempts: 0,
        findings: [
          { key: 'shared', text: expect.stringContaining('30 agents share it, more than 20') },
          { key: 'looser', text: expect.stringContaining('7 days are computed') },
        ],
      },
      {
        credential: 'failing-db',
        credentialId: 'id-3',
        mode: 'enforce',
        status: 'active',
        starts: '2026-11-22T13:00:00.000Z',
        deadline: '2026-11-19T00:00:00.000Z',
        why: every30,
        attempts: 2,
        findings: [
          { key: 'overdue', text: 'its deadline has passed' },
          { key: 'failing', text: 'planned rotations that were aborted: 2' },
        ],
      },
    ]);
  });

  it('shows findings of a policy in list and show, and the deadline of an exception that ends', async () => {
    const { policy } = credentialOf();
    const exception = { reason: 'vendor outage', expires: '2026-12-05' };
    const ledger = new FakeLedger().add(
      credentialOf({ policy: { ...policy, intervalSeconds: 60 * 86_400, exception } }),
    );
    const expected = {
      dueAt: '2026-12-06T00:00:00.000Z',
      findings: [{ key: 'exception until 2026-12-05', text: expect.stringContaining('vendor outage') }],
    };
    const shown = await answer(eventOf('GET', '/v1/credentials/orders-db'), fakeServices(ledger));
    expect(bodyOf(shown.response)['credential']).toMatchObject(expected);
    const listed = await answer(eventOf('GET', '/v1/credentials'), fakeServices(ledger));
    expect(bodyOf(listed.response)['credentials']).toMatchObject([expected]);
  });
});

import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { MAX_BODY_BYTES } from '../../../shared/api/messages.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import {
  bodyOf,
  CALLER,
  DECLARATION,
  ledgerWithRotation,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  ID,
  impactBody,
  ROTATION_ID,
  rotationOf,
} from './fakes.ts';

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

describe('bad requests', () => {
  it.each([
    ['a body that is not JSON', { raw: '{"declaration": s3cr3t' }, 400],
    ['an array', { raw: '[]' }, 400],
    ['an unknown key', { body: { declaration: DECLARATION, force: true } }, 400],
    [
      'a body beyond the limit',
      { raw: JSON.stringify({ declaration: DECLARATION, pad: 'x'.repeat(MAX_BODY_BYTES) }) },
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
    const raw = Buffer.from(JSON.stringify({ declaration: DECLARATION })).toString('base64');
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
    const handled = await answer(
      eventOf('POST', '/v1/credentials', { body: { declaration: DECLARATION } }),
      services,
    );
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

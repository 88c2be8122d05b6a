import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { AuditDraft } from '../../../shared/domain/audit.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { FamilyLedger } from '../../../shared/ports/families.ts';
import { bodyOf, CALLER, eventOf, FAMILY, fakeServices, NOW } from './fakes.ts';

const DECLARED = {
  name: 'crm',
  owner: 'sales',
  server: { issuer: 'https://login.example' },
  client: { id: 'rekey', secret: 'oauth/crm' },
};

async function call(method: string, path: string, body?: object, answers: Record<string, object> = {}) {
  const services = fakeServices(undefined, answers);
  const created: Parameters<FamilyLedger['create']>[1] = {
    action: 'registered',
    time: '2026-11-22T11:00:00.000Z',
    trigger: { kind: 'operator', actor: CALLER },
  };
  await services.families.create({ ...FAMILY, version: 0 }, created);
  const { response } = await answer(eventOf(method, path, body === undefined ? {} : { body }), services);
  return { status: response.statusCode, body: bodyOf(response), asked: services.asked };
}

describe('token families at the API', () => {
  it('are listed and shown with dates and a fingerprint, by name and by id', async () => {
    const listed = await call('GET', '/v1/families');
    const one = await call('GET', '/v1/families/crm');
    expect([listed.status, one.status]).toEqual([200, 200]);
    expect(listed.body).toEqual({ families: [one.body['family']] });
    expect((await call('GET', `/v1/families/${FAMILY.id}`)).body).toEqual(one.body);
    expect(one.body['family']).toMatchObject({
      name: 'crm',
      status: 'active',
      tokens: {
        fingerprint: 'sha256:3333',
        refreshAt: '2026-11-22T12:00:00.000Z',
        consentDueAt: '2026-11-29T11:30:00.000Z',
      },
    });
    const none = await call('GET', '/v1/families/nobody');
    expect([none.status, none.body['code']]).toEqual([404, 'ERR_NOT_FOUND']);
  });

  it('are registered in the name of the caller; a form that is wrong is refused with its field', async () => {
    const made = await call('POST', '/v1/families', { declaration: DECLARED });
    expect(made.status).toBe(201);
    expect(made.asked).toEqual([
      {
        method: 'applyFamily',
        input: { declaration: DECLARED, trigger: { kind: 'operator', actor: CALLER }, dryRun: false },
      },
    ]);
    const { owner: _left, ...without } = DECLARED;
    const wrong = await call('POST', '/v1/families', { declaration: without });
    expect([wrong.status, wrong.body['field'], wrong.asked]).toEqual([422, 'owner', []]);
  });

  it.each([
    ['client.secret', { client: { id: 'rekey', authentication: 'private_key_jwt' } }],
    ['client.secret', { client: { id: 'rekey', authentication: 'none', secret: 'oauth/crm' } }],
    ['client.secret', { client: { id: 'rekey' }, grant: 'client_credentials' }],
    ['server', { server: { revocationEndpoint: 'https://login.example/revoke' } }],
    ['server.issuer', { server: { issuer: 'http://login.example' } }],
    ['server.issuer', { server: { issuer: 'ftp://127.0.0.1/login' } }],
    ['server.tokenEndpoint', { server: { tokenEndpoint: 'http://127.0.0.1.example/token' } }],
    ['scopes[0]', { scopes: ['two scopes'] }],
    ['refresh.grace', { refresh: { grace: 'soon' } }],
  ])('are refused at %s where that contradicts itself: %o', async (field, changes) => {
    const { status, body } = await call('POST', '/v1/families', { declaration: { ...DECLARED, ...changes } });
    expect([status, body['code'], body['field']]).toEqual([422, 'ERR_DECLARATION', field]);
  });

  it.each(['http://localhost:8080', 'http://127.0.0.1:9000', 'http://[::1]', 'https://10.0.0.1'])(
    'may have a server on this machine or a private one, which settings allow and connect looks at: %s',
    async (issuer) => {
      const { status } = await call('POST', '/v1/families', {
        declaration: { ...DECLARED, server: { issuer }, resource: 'http://crm.example/mcp' },
      });
      expect(status).toBe(201);
    },
  );

  it.each([
    ['refreshes', { reason: 'r' }, 'refresh', {}],
    ['pause', { reason: 'r' }, 'pauseFamily', {}],
    ['unpause', { reason: 'r' }, 'unpauseFamily', {}],
    ['revocations', { incident: 'INC-7', reason: 'r' }, 'revokeFamily', { incidentId: 'INC-7' }],
    ['unregister', { reason: 'r', dryRun: true }, 'unregisterFamily', { dryRun: true }],
  ])('%s is asked of the coordinator in the name of the caller', async (path, body, method, more) => {
    const { status, asked, body: answered } = await call('POST', `/v1/families/crm/${path}`, body);
    expect(status).toBe(200);
    const trigger = { kind: 'operator', actor: CALLER, reason: 'r' };
    expect(asked).toEqual([{ method, input: { name: 'crm', trigger, ...more } }]);
    expect(answered['family']).toMatchObject({ name: 'crm' });
  });

  it('an emergency without a reason or an incident is refused', async () => {
    for (const body of [{ incident: 'INC-7' }, { reason: 'r' }]) {
      const { status, asked } = await call('POST', '/v1/families/crm/revocations', body);
      expect([status, asked]).toEqual([400, []]);
    }
  });

  it('say what the coordinator refuses', async () => {
    const refused = new RekeyError('ERR_CONSENT', 'crm: nobody has consented yet', {
      remedy: 'rekey connect crm',
    });
    const { status, body } = await call('POST', '/v1/families/crm/refreshes', {}, { refresh: refused });
    expect([status, body['code'], body['remedy']]).toEqual([409, 'ERR_CONSENT', 'rekey connect crm']);
  });
});

describe('GET /v1/audit of a token family', () => {
  const trigger = { kind: 'operator', actor: CALLER, reason: 'first consent' } as const;
  const planner = { kind: 'planner', actor: 'refresh-families' } as const;

  /** A family of this many routine refreshes, one each half hour. */
  async function refreshed(times: number) {
    const services = fakeServices();
    const { families } = services;
    const since = Date.parse('2026-03-01T10:00:00.000Z');
    const at = (index: number): string => toInstant(since + index * 1_800_000);
    const born = { ...FAMILY, version: 0, registeredAt: at(0) };
    const made = await families.create(born, { action: 'registered', time: at(0), trigger });
    const records = Array.from({ length: times }, (_, index) => ({
      action: 'tokens-refreshed' as const,
      time: at(index + 1),
      trigger: planner,
    }));
    const told: AuditDraft[] = [
      { action: 'consent-given', time: at(0), trigger },
      ...records,
      { action: 'tokens-refreshed', time: at(times + 1), trigger: { ...trigger, reason: 'now' } },
    ];
    const head = await families.commit({ before: made, after: made, records: told });
    const ask = async (query: Record<string, string>) => {
      const { response } = await answer(eventOf('GET', '/v1/audit', { query }), services);
      return { status: response.statusCode, body: bodyOf(response) };
    };
    return { services, families, head, ask };
  }

  it('has who consented and why, and the whole chain; of refreshes only those that a person asked for', async () => {
    const { ask, head } = await refreshed(100);
    for (const credential of ['crm', head.id]) {
      const { status, body } = await ask({ credential });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        records: 103,
        rotations: [],
        events: [
          { action: 'registered', credential: 'crm' },
          { action: 'consent-given', actor: CALLER, reason: 'first consent' },
          { action: 'tokens-refreshed', reason: 'now' },
        ],
        chain: { checked: 103, faults: [], complete: 1 },
      });
    }
  });

  it('is among the records of everything, without refreshes by the clock and without its chain, which is said', async () => {
    const { ask, head, families } = await refreshed(100);
    const { status, body } = await ask({});
    expect(status).toBe(200);
    expect(body).toMatchObject({
      records: 0,
      events: [
        { action: 'registered', credential: 'crm' },
        { action: 'consent-given', reason: 'first consent' },
        { action: 'tokens-refreshed', reason: 'now' },
      ],
      families: [{ family: 'crm', familyId: head.id, records: 3 }],
      chain: { checked: 0, faults: [], complete: 0, chains: 0 },
    });
    expect((await ask({ from: '2026-03-02', to: '2026-03-02' })).body).not.toHaveProperty('families');
    // One that was changed is seen all the same.
    const [registered, consent, ...more] = families.chains.get(head.id) ?? [];
    if (registered === undefined || consent === undefined) throw new Error('there is no such record');
    const changed = { ...consent, actor: { user: { ...consent.actor.user, uid: 'arn:somebody-else' } } };
    families.chains.set(head.id, [registered, changed, ...more]);
    expect((await ask({})).body).toMatchObject({
      chain: { faults: [{ credentialId: head.id, seq: 2, fault: 'hash' }] },
    });
  });

  it('has what the index doesn’t have yet, once', async () => {
    const { services, head } = await refreshed(1);
    const time = toInstant(NOW - 5000);
    const commit = { before: head, after: head, records: [{ action: 'paused', time, trigger } as const] };
    await services.families.commit(commit);
    const lagging = services.families.recordsOfMonth.bind(services.families);
    services.families.recordsOfMonth = async function* (month) {
      for await (const record of lagging(month)) if (record.message !== 'paused') yield record;
    };
    const { response } = await answer(eventOf('GET', '/v1/audit', { query: {} }), services);
    expect(bodyOf(response)).toMatchObject({ families: [{ records: 4 }] });
    expect(JSON.stringify(bodyOf(response)['events']).match(/"paused"/g)).toHaveLength(1);
  });

  it('reads back to the beginning of the span and no further, and checks the chain there', async () => {
    const { ask } = await refreshed(200);
    const { body } = await ask({ credential: 'crm', from: '2026-03-03', to: '2026-03-03' });
    expect(body).toMatchObject({ records: 48, chain: { checked: 48, faults: [], complete: 1 } });
  });

  it('names a record that is missing', async () => {
    const { ask, families, head } = await refreshed(10);
    families.chains.get(head.id)?.splice(5, 1);
    expect((await ask({ credential: 'crm' })).body).toMatchObject({
      chain: { faults: [{ seq: 6, fault: 'gap' }] },
    });
  });

  it('is refused with what to do where that is too much for an answer', async () => {
    const { ask } = await refreshed(20_000);
    expect(await ask({ credential: 'crm', from: '2026-03-01' })).toMatchObject({
      status: 400,
      body: { code: 'ERR_REQUEST', field: 'from', remedy: expect.stringContaining('archive') },
    });
    expect((await ask({ credential: 'crm', from: '2026-05-01', to: '2026-05-01' })).status).toBe(200);
  });

  it('is refused for a span that ends before it begins', async () => {
    const { ask } = await refreshed(1);
    const query = { credential: 'crm', from: '2026-03-02', to: '2026-03-01' };
    expect(await ask(query)).toMatchObject({ status: 400, body: { field: 'from' } });
  });
});

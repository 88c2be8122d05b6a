import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { FamilyLedger } from '../../../shared/ports/families.ts';
import { bodyOf, CALLER, eventOf, FAMILY, fakeServices } from './fakes.ts';

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
    ['scopes[0]', { scopes: ['two scopes'] }],
    ['refresh.grace', { refresh: { grace: 'soon' } }],
  ])('are refused at %s where that contradicts itself: %o', async (field, changes) => {
    const { status, body } = await call('POST', '/v1/families', { declaration: { ...DECLARED, ...changes } });
    expect([status, body['code'], body['field']]).toEqual([422, 'ERR_DECLARATION', field]);
  });

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

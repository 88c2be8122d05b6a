import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { freshFamily, TERMS } from '../../support/families.ts';
import { bodyOf, CALLER, eventOf, fakeServices } from './fakes.ts';

const ASK = '/v1/families/crm/consent-requests';
const GIVE = '/v1/families/crm/consents';
const REQUEST = {
  redirectUri: 'http://127.0.0.1:4711/callback',
  state: 's'.repeat(43),
  codeChallenge: 'c'.repeat(43),
};
const CONSENT = { code: 'a-code', codeVerifier: 'v'.repeat(43), redirectUri: REQUEST.redirectUri };

async function post(path: string, body: object, answers: Record<string, object> = {}) {
  const services = fakeServices(undefined, answers);
  const { response } = await answer(eventOf('POST', path, { body }), services);
  return { status: response.statusCode, body: bodyOf(response), asked: services.asked };
}

describe('POST /v1/families/{name}/consent-requests', () => {
  it('says where a person consents, and who must send them back', async () => {
    const address = { url: 'https://login.example/a', issuer: 'https://login.example', sendsIssuer: true };
    const { status, body, asked } = await post(ASK, REQUEST, { askForConsent: { address } });
    expect([status, body]).toEqual([200, { family: 'crm', scopes: ['tools:read'], ...address }]);
    expect(asked).toEqual([{ method: 'askForConsent', input: { name: 'crm', request: REQUEST } }]);
  });

  it('has no address where nobody has to', async () => {
    const { body } = await post(ASK, REQUEST, { askForConsent: { address: undefined } });
    expect(body).toEqual({ family: 'crm', scopes: ['tools:read'], sendsIssuer: false });
  });

  it.each([
    ['redirectUri', 'http://tools.example/callback'],
    ['redirectUri', 'http://127.0.0.1.evil.example/callback'],
    ['redirectUri', 'http://localhost/callback'],
    ['redirectUri', 'https://me:it@tools.example/callback'],
    ['redirectUri', 'https://tools.example/callback#x'],
    ['redirectUri', 'javascript:alert(1)'],
    ['state', 'guessable'],
    ['codeChallenge', 'plain-verifier'],
  ])('refuses a %s like %s', async (field, value) => {
    const { status, body, asked } = await post(ASK, { ...REQUEST, [field]: value });
    expect([status, body['code'], body['field']]).toEqual([400, 'ERR_REQUEST', field]);
    expect(asked).toEqual([]);
  });

  it('takes a redirect address over TLS, and one on the other loopback', async () => {
    for (const redirectUri of ['https://tools.example/callback', 'http://[::1]:4711/callback']) {
      expect((await post(ASK, { ...REQUEST, redirectUri })).status).toBe(200);
    }
  });
});

describe('POST /v1/families/{name}/consents', () => {
  const tokens = {
    versionId: 'v',
    fingerprint: 'f',
    refreshable: true,
    consentedAt: '2026-11-22T12:00:00.000Z',
    rotatedAt: '2026-11-22T12:00:00.000Z',
    refreshedAt: '2026-11-22T12:00:00.000Z',
    expiresAt: '2026-11-22T13:00:00.000Z',
  };
  const connected = (changes: object = {}, terms: object = {}) => ({
    connectFamily: {
      family: freshFamily({
        name: 'crm',
        status: 'active',
        terms: { ...TERMS, scopes: ['tools:read', 'tools:write'], ...terms },
        tokens: { ...tokens, ...changes },
      }),
    },
  });

  it('hands the consent on in the name of the caller, and answers without a token', async () => {
    const { status, body, asked } = await post(GIVE, { consent: CONSENT, reason: 'first' }, connected());
    const trigger = { kind: 'operator', actor: CALLER, reason: 'first' };
    expect(asked).toEqual([{ method: 'connectFamily', input: { name: 'crm', consent: CONSENT, trigger } }]);
    expect([status, body]).toEqual([
      200,
      {
        family: 'crm',
        status: 'active',
        secret: 'agents/families/crm',
        expiresAt: tokens.expiresAt,
        missing: [],
        refreshable: true,
      },
    ]);
  });

  it('tells what was asked for and not granted, and that nothing refreshes the token', async () => {
    const given = connected({ scope: 'tools:read', refreshable: false });
    const { body } = await post(GIVE, { consent: CONSENT }, given);
    expect(body).toMatchObject({ scope: 'tools:read', missing: ['tools:write'], refreshable: false });
  });

  it('needs no consent of a client that acts for itself, which needs no refresh token either', async () => {
    const { asked, body } = await post(
      GIVE,
      {},
      connected({ refreshable: false }, { grant: 'client_credentials' }),
    );
    expect(asked[0]?.input).toMatchObject({ name: 'crm', consent: undefined });
    expect(body).toMatchObject({ refreshable: true });
  });

  it('never repeats what was sent, whatever is refused', async () => {
    const refused = await post(GIVE, { consent: { ...CONSENT, codeVerifier: 'short' } });
    expect([refused.status, refused.body['field']]).toEqual([400, 'consent.codeVerifier']);
    const denied = new RekeyError('ERR_CONSENT', 'the server takes this grant no more');
    const consent = await post(GIVE, { consent: CONSENT }, { connectFamily: denied });
    expect([consent.status, consent.body['code']]).toEqual([409, 'ERR_CONSENT']);
    for (const { body } of [refused, consent]) expect(JSON.stringify(body)).not.toMatch(/a-code|vvvv|short/);
  });
});

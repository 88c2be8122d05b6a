import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OAuthServer } from '../../../shared/adapters/oauth-server.ts';
import { clientSecretOf } from '../../../shared/domain/family-secret.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { rfc7592Provider as provider } from '../../../shared/providers/rfc7592/provider.ts';
import { rfc7592Case } from '../../contract/cases/rfc7592.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { OidcServer } from '../../support/oidc.ts';
import { refusalOf } from '../../support/refused.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

function contextOf(secret: object, generation = 1): IssueContext {
  return {
    clock: Date.now,
    generation,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    admin: async () => Promise.resolve(new Redacted(JSON.stringify(secret))),
  };
}

describe('keys of an OAuth client', () => {
  describeProvider('RFC 7592', keyHarness(rfc7592Case()));
  describeKeyFaults('RFC 7592', rfc7592Case());

  describe('at a server that goes its own ways', () => {
    takeNoTimeToWait();
    const its = rfc7592Case();
    let clientId: string;
    const target = (more: object = {}) =>
      provider.target({ clientId, label: 'app', baseUrl: its.url(), ...more });
    const context = (generation = 1): IssueContext =>
      contextOf({ ...its.fake().admin(its.url(), clientId), baseUrl: its.url() }, generation);

    beforeAll(async () => its.start());
    beforeEach(() => {
      clientId = `client-${randomUUID()}`;
      Object.assign(its.fake(), {
        rotatesToken: false,
        rotatesTokenOnRead: false,
        isOpen: false,
        keepsNoKeys: false,
      });
    });
    afterAll(async () => its.stop());

    it('all of the registration is kept, but what the server alone sets', async () => {
      its.fake().registered.set(clientId, { client_name: 'Shop agents', contacts: ['ops@shop.example'] });
      await provider.issue(target(), randomUUID(), context());
      expect(its.fake().registered.get(clientId)).toMatchObject({
        client_name: 'Shop agents',
        contacts: ['ops@shop.example'],
        redirect_uris: ['http://127.0.0.1/callback'],
      });
    });

    it('the last key that is ended leaves one behind that nobody has, and the next is made beside none', async () => {
      const first = await provider.issue(target(), randomUUID(), context());
      await provider.revoke(target(), first.handle, { endSessions: true }, context());
      const left = its.fake().keys.of(clientId);
      expect(left.map(({ name }) => name)).toEqual(['rekey-nobody']);
      expect(await provider.list?.(target(), context())).toEqual([]);
      await provider.issue(target(), randomUUID(), context(2));
      expect(its.fake().keys.of(clientId)).toHaveLength(1);
    });

    it('one that lets in whoever has any key is refused before anything is made', async () => {
      its.fake().isOpen = true;
      expect(await refusalOf(() => provider.preflight(target(), context()))).toMatchObject({
        code: 'ERR_REJECTED',
        field: 'target.baseUrl',
      });
    });

    it('one that keeps no keys of the client is told apart from one that does', async () => {
      its.fake().keepsNoKeys = true;
      const error = await refusalOf(() => provider.issue(target(), randomUUID(), context()));
      expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'target.clientId' });
    });

    it('one that replaces the login with each change is named as such', async () => {
      its.fake().rotatesToken = true;
      const error = await refusalOf(() => provider.issue(target(), randomUUID(), context()));
      expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'admin' });
      expect(error.message).toContain('registration access token');
    });

    it('one that replaces it with each look is refused before anything is made', async () => {
      its.fake().rotatesTokenOnRead = true;
      const refused = { code: 'ERR_REJECTED', field: 'admin' };
      expect(await refusalOf(() => provider.preflight(target(), context()))).toMatchObject(refused);
      clientId = `client-${randomUUID()}`;
      // `issue` looks for what an attempt before has left, with the login as it is.
      await refusalOf(() => provider.issue(target(), randomUUID(), context()));
      expect(its.fake().keys.of(clientId)).toEqual([]);
    });

    it('a login for another client than the target is refused, and nothing is changed', async () => {
      const other = target({ clientId: 'somebody-else' });
      const error = await refusalOf(() => provider.issue(other, randomUUID(), context()));
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.clientId' });
      expect(its.fake().keys.of(clientId)).toEqual([]);
    });
  });

  describe('at a real server', () => {
    let oidc: OidcServer;
    beforeAll(async () => {
      oidc = await OidcServer.start();
    });
    afterAll(() => oidc[Symbol.asyncDispose]());

    it('rotate without a refused request: old and new are both taken until the old one is ended', async () => {
      const { publicKey } = await generateKeyPair('ES256', { extractable: true });
      const registered = await oidc.register({
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'by-hand', alg: 'ES256', use: 'sig' }] },
      });
      const { client_id: clientId = '' } = registered;
      const tokenEndpoint = `${oidc.issuer}/token`;
      const target = provider.target({
        clientId,
        label: 'fleet',
        issuer: oidc.issuer,
        baseUrl: tokenEndpoint,
      });
      const admin = {
        registrationClientUri: registered['registration_client_uri'],
        registrationAccessToken: registered['registration_access_token'],
        baseUrl: oidc.issuer,
      };
      await provider.preflight(target, contextOf(admin));
      const server = new OAuthServer({ privateHosts: ['127.0.0.1'] });
      const terms = {
        server: { issuer: oidc.issuer },
        client: { id: clientId, authentication: 'private_key_jwt' },
        scopes: ['tools:read'],
      } as const;
      // As the coordinator of token families reads and uses it.
      const asked = async (material: Parameters<typeof provider.serialize>[0]) =>
        server.clientCredentials(terms, clientSecretOf(provider.serialize(material), 'oauth/fleet'));

      const old = await provider.issue(target, randomUUID(), contextOf(admin));
      await provider.activate?.(target, randomUUID(), old, contextOf(admin));
      expect(await asked(old.material)).toHaveProperty('accessToken');
      const next = await provider.issue(target, randomUUID(), {
        ...contextOf(admin, 2),
        current: old.handle,
      });
      await provider.activate?.(target, randomUUID(), next, contextOf(admin));
      for (const { material } of [old, next]) expect(await asked(material)).toHaveProperty('accessToken');
      const ended = await provider.revoke(target, old.handle, { endSessions: false }, contextOf(admin));
      expect(ended).toMatchObject({ confirmed: true });
      expect(await refusalOf(() => asked(old.material))).toMatchObject({ code: 'ERR_ADMIN_DENIED' });
      expect(await refusalOf(() => provider.verify(target, old.material, contextOf(admin)))).toMatchObject({
        code: 'ERR_REJECTED',
      });
      expect(await asked(next.material)).toHaveProperty('accessToken');
      await provider.verify(target, next.material, contextOf(admin));
    });
  });
});

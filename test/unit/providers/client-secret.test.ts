import { ClientSecretBasic, ClientSecretPost } from 'oauth4webapi';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientHostsOf, clientSecretOf } from '../../../shared/domain/family-secret.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import { assertDemands } from '../../../shared/domain/possible.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { clientSecretProvider as provider } from '../../../shared/providers/client-secret/provider.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { clientSecretCase } from '../../contract/cases/pools.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeClientSecrets } from '../../fakes/client-secrets.ts';
import { toDelete } from '../../fakes/console-keys.ts';
import { UpstreamServer, type Asked, type Reply } from '../../fakes/upstream.ts';
import { MemoryClaims } from '../../support/claims.ts';
import { CLIENT, OidcServer } from '../../support/oidc.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

let tokens = 0;
const newToken = (): string => `00000000-0000-4000-8000-${String(++tokens).padStart(12, '0')}`;
const CLIENT_ID = 'tools-fleet';

function contextOf(claims: MemoryClaims, admin: () => object, generation = 1): IssueContext {
  return {
    clock: Date.now,
    generation,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    claims: claims.of('agents'),
    admin: async () => Promise.resolve(new Redacted(JSON.stringify(admin()))),
  };
}

describe('shared secrets of OAuth clients', () => {
  describeProvider('A client secret', keyHarness(clientSecretCase()));
  describeKeyFaults('A client secret', clientSecretCase());

  describe('at a server that goes its own ways', () => {
    takeNoTimeToWait();
    let fake: FakeClientSecrets;
    let claims: MemoryClaims;
    const target = (more: object = {}) =>
      provider.target({
        clientId: CLIENT_ID,
        label: 'agents',
        baseUrl: `${fake.server.url}/token`,
        ...more,
      });
    const ctx = (generation = 1): IssueContext =>
      contextOf(claims, () => ({ baseUrl: fake.server.url, pool: fake.console.pool }), generation);
    const issue = async (more: object = {}, generation = 1) =>
      provider.issue(target(more), newToken(), ctx(generation));
    const end = async (handle: { id: string; generation: number }, more: object = {}) =>
      provider.revoke(target(more), handle, { endSessions: false }, ctx());

    beforeEach(async () => {
      fake = await FakeClientSecrets.start();
      claims = new MemoryClaims();
      fake.console.fill(CLIENT_ID, 2);
      return async () => fake[Symbol.asyncDispose]();
    });

    const said = (status: number, error: string): Reply => ({ status, body: { error } });
    const verify = async () => provider.verify(target(), (await issue()).material, ctx());

    it.each([
      ['as RFC 6749 has it', said(400, 'invalid_grant')],
      ['of a client that may not refresh', said(400, 'unauthorized_client')],
      ['of a server without that grant', said(400, 'unsupported_grant_type')],
      ['with 403', said(403, 'invalid_grant')],
      ['as Slack says it', { status: 200, body: { ok: false, error: 'invalid_refresh_token' } }],
      ['as GitHub says it', said(200, 'bad_refresh_token')],
    ] as const)('are taken where it lets the client in, %s', async (_words, entry) => {
      fake.entry = entry;
      await expect(verify()).resolves.toBeUndefined();
    });

    it.each([
      ['as RFC 6749 has it', said(401, 'invalid_client')],
      ['without 401, as RFC 6749 allows it for a form', said(400, 'invalid_client')],
      ['as Keycloak says it', said(401, 'unauthorized_client')],
      ['with a word of its own beside 401', said(401, 'access_denied')],
      ['as Slack says it', { status: 200, body: { ok: false, error: 'bad_client_secret' } }],
      ['as GitHub says it', said(200, 'incorrect_client_credentials')],
    ] as const)('are dead where it refuses the client, %s, and takes another', async (_words, refusal) => {
      const [old] = [await issue(), await issue({}, 2)];
      fake.refusal = refusal;
      expect(await end(old.handle)).toMatchObject({
        confirmed: false,
        detail: expect.stringMatching(/still/),
      });
      fake.console.delete(fake.console.pool[0]?.id ?? '');
      expect(await end(old.handle)).toMatchObject({ confirmed: true, method: 'negative-authentication' });
    });

    it.each([
      ['the same to everybody', said(400, 'invalid_grant')],
      ['the same to everybody, as older servers do', said(400, 'unauthorized_client')],
      ['403 to everybody', said(403, 'access_denied')],
    ] as const)(
      'are refused, moved to and called dead nowhere that one answers %s',
      async (_words, answer) => {
        const { handle, material } = await issue();
        Object.assign(fake, { refusal: answer, entry: answer });
        const refused = { code: 'ERR_REJECTED', field: 'target.baseUrl' };
        await expect(provider.preflight(target(), ctx())).rejects.toMatchObject(refused);
        const activated = provider.activate?.(target(), handle.token ?? '', { handle, material }, ctx());
        await expect(activated).rejects.toMatchObject(refused);
        fake.console.delete(fake.console.pool[0]?.id ?? '');
        expect(await end(handle)).toMatchObject({ confirmed: false });
      },
    );

    it.each(['invalid_request', 'invalid_scope', 'slow_down'])(
      'are neither taken nor dead where one says %s, which tells nothing of the secret',
      async (error) => {
        const { handle, material } = await issue();
        Object.assign(fake, { refusal: said(400, error), entry: said(400, error) });
        await expect(provider.verify(target(), material, ctx())).rejects.toMatchObject({
          code: 'ERR_REJECTED',
        });
        await expect(end(handle)).rejects.toMatchObject({ code: 'ERR_REJECTED' });
      },
    );

    it('are not dead where it refuses the client whatever it comes with, as one does that has locked it', async () => {
      const [old] = [await issue(), await issue({}, 2)];
      fake.console.delete(fake.console.pool[0]?.id ?? '');
      fake.server.fail({ kind: 'reply', ...fake.refusal }, undefined, 2);
      const { confirmed, detail, byHand } = await end(old.handle);
      expect([confirmed, detail]).toEqual([false, expect.stringContaining('every other key of the pool')]);
      expect(byHand).toContain('let the pool have a key that works');
      expect(await end(old.handle)).toMatchObject({ confirmed: true });
    });

    it.each([
      ['revocation', 'revoke'],
      ['introspection', 'introspect'],
    ])('are tried at its %s endpoint where that is declared', async (endpoint, path) => {
      const its = { endpoint, baseUrl: `${fake.server.url}/${path}` };
      fake.refusal = said(400, 'invalid_client');
      await provider.preflight(target(its), ctx());
      const [old, next] = [await issue(its), await issue(its, 2)];
      await provider.activate?.(target(its), newToken(), next, ctx());
      fake.console.delete(fake.console.pool[0]?.id ?? '');
      expect(await end(old.handle, its)).toMatchObject({ confirmed: true });
      expect(new Set(fake.server.asked.map((asked) => asked.path))).toEqual(new Set([`/${path}`]));
      expect(await end(next.handle, its)).toMatchObject({ confirmed: false });
    });

    it('are named to the person who deletes them by server, client and name, without a word of the value', async () => {
      const { handle, material } = await issue();
      const { byHand } = await end(handle);
      const { host } = new URL(fake.server.url);
      expect(byHand).toContain(
        `delete the key "tools-fleet-1" at the console of ${host}, client tools-fleet`,
      );
      expect(byHand).not.toContain(material.reveal().apiKey);
      expect(provider.manualRevocation?.(target(), handle)).toBe(byHand);
    });

    describe('that has room for two', () => {
      it('wait in the pool one at a time: nothing runs low before there is room for another', async () => {
        await issue();
        expect(await provider.outlook?.(target(), ctx())).toEqual([]);
        await issue({}, 2);
        expect(await provider.outlook?.(target(), ctx())).toEqual([]);
        fake.console.delete(fake.console.pool[0]?.id ?? '');
        const [low] = (await provider.outlook?.(target(), ctx())) ?? [];
        expect(low?.message).toContain('0 free, and 1 needed');
        expect(await provider.outlook?.(target({ secretsAtOnce: 10 }), ctx())).toEqual([
          expect.objectContaining({ message: expect.stringContaining('0 free, and 2 needed') }),
        ]);
      });
    });

    describe('that has room for one', () => {
      const one = { secretsAtOnce: 1 };

      it('are dead as the next one is made, which a rotation finds and takes without a person', async () => {
        fake.console.delete(fake.console.pool.pop()?.id ?? '');
        const old = await issue(one);
        expect(await provider.outlook?.(target(one), ctx())).toEqual([]);
        await expect(issue(one, 2)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
        fake.console.delete(fake.console.pool[0]?.id ?? '');
        fake.console.fill(CLIENT_ID, 1);
        const next = await issue(one, 2);
        await provider.activate?.(target(one), newToken(), next, ctx());
        expect(await end(old.handle, one)).toMatchObject({ confirmed: true });
        expect(await provider.outlook?.(target(one), ctx())).toEqual([]);
      });

      it('have one holder, which bridges the gap', () => {
        const holders = (agents: number): Holder[] => [
          { kind: 'polling', name: 'coordinator', ttlSeconds: 60, agents },
        ];
        const demands = provider.demands?.(target(one));
        const policy = { soakSeconds: 0, intervalSeconds: 60 } as Policy;
        expect(() => {
          assertDemands(policy, holders(2), demands);
        }).toThrow(expect.objectContaining({ code: 'ERR_POLICY', field: 'holders' }));
        assertDemands(policy, holders(1), demands);
        assertDemands(policy, holders(2), provider.demands?.(target()));
      });
    });

    it('are for the coordinator what it reads, with the host to which they may be sent', async () => {
      const { material } = await issue();
      const text = provider.serialize(material);
      expect(clientSecretOf(text, 'oauth/tools').reveal()).toBe(material.reveal().apiKey);
      expect(clientHostsOf(text, 'oauth/tools')).toEqual(['127.0.0.1']);
      const fields = JSON.parse(text.reveal()) as object;
      expect(fields).toMatchObject({ client_id: CLIENT_ID, client_secret: expect.any(String) });
    });

    it('keep the hosts that a person has written where they are adopted', async () => {
      const [entry] = fake.console.pool;
      Object.assign(entry ?? {}, { inUse: true });
      const hosts = ['login.example', 'revoke.example'];
      const text = new Redacted(JSON.stringify({ client_secret: entry?.value, allowedHosts: hosts }));
      expect(await provider.preflight(target(), ctx())).toEqual([]);
      const found = await provider.adoption?.identify(target(), provider.material(text), ctx());
      expect(found).toMatch(/^tools-fleet-1\./);
      const next = provider.serialize((await issue({}, 2)).material, text);
      expect(clientHostsOf(next, 'oauth/tools')).toEqual(hosts);
      expect(clientSecretOf(next, 'oauth/tools').reveal()).toBe(fake.console.pool[1]?.value);
    });

    it('are never sent to a place that only a target names', async () => {
      const elsewhere = target({ baseUrl: 'http://localhost:1/token' });
      const refused = provider.issue(elsewhere, newToken(), ctx());
      await expect(refused).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      expect(fake.server.asked).toEqual([]);
    });
  });

  it('are sent as the coordinator of token families sends them, whatever is in them', async () => {
    const seen: Asked[] = [];
    await using server = await UpstreamServer.start((asked) => {
      seen.push(asked);
      return { status: 400, body: { error: 'invalid_grant' } };
    });
    const secret = `~!*'()%:+&=/-_."?x`;
    const clientId = 'tools:fleet+1%';
    for (const authentication of ['client_secret_basic', 'client_secret_post'] as const) {
      const target = provider.target({ clientId, authentication, label: 'agents', baseUrl: server.url });
      const material = new Redacted({ apiKey: secret });
      await provider.verify(
        target,
        material,
        contextOf(new MemoryClaims(), () => ({})),
      );
      const [headers, body] = [new Headers(), new URLSearchParams()];
      const write = authentication === 'client_secret_basic' ? ClientSecretBasic : ClientSecretPost;
      await write(secret)({ issuer: server.url }, { client_id: clientId }, body, headers);
      const { headers: sent, body: form } = seen.at(-1) ?? {};
      expect(sent?.authorization ?? null).toBe(headers.get('authorization'));
      expect(form).toEqual({
        grant_type: 'refresh_token',
        refresh_token: 'of-nobody',
        ...Object.fromEntries(body),
      });
    }
  });

  describe('at a real server', () => {
    let oidc: OidcServer;
    beforeAll(async () => {
      oidc = await OidcServer.start();
    });
    afterAll(() => oidc[Symbol.asyncDispose]());

    it.each([
      ['token', '/token'],
      ['revocation', '/token/revocation'],
      ['introspection', '/token/introspection'],
    ])(
      'rotate, tried at its %s endpoint: both are taken until a person deletes the old one',
      async (endpoint, path) => {
        const claims = new MemoryClaims();
        const pool = [1, 2].map((each) => ({
          id: `${endpoint}-${each}`,
          value: oidc.newSecret(CLIENT.client_id),
        }));
        const target = provider.target({
          clientId: CLIENT.client_id,
          label: 'fleet',
          endpoint,
          baseUrl: `${oidc.issuer}${path}`,
        });
        const ctx = contextOf(claims, () => ({ baseUrl: oidc.issuer, pool }));
        await provider.preflight(target, ctx);
        const [old, next] = [
          await provider.issue(target, newToken(), ctx),
          await provider.issue(target, newToken(), { ...ctx, generation: 2 }),
        ];
        for (const each of [old, next]) await provider.activate?.(target, newToken(), each, ctx);
        const end = async () => provider.revoke(target, old.handle, { endSessions: false }, ctx);
        const asked = await end();
        expect(asked).toMatchObject({ confirmed: false });
        const [named] = toDelete(asked.byHand ?? '');
        oidc.secrets.get(CLIENT.client_id)?.delete(pool.find(({ id }) => id === named)?.value ?? '');
        expect(await end()).toMatchObject({ confirmed: true, method: 'negative-authentication' });
        await provider.verify(target, next.material, ctx);
        await expect(provider.verify(target, old.material, ctx)).rejects.toMatchObject({
          code: 'ERR_REJECTED',
        });
        expect(oidc.revokedByReuse.size).toBe(0);
      },
    );
  });
});

import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { pineconeProvider } from '../../../shared/providers/pinecone/provider.ts';
import type { IssueContext, ProviderContext } from '../../../shared/providers/provider.ts';
import { pineconeCase } from '../../contract/cases/pinecone.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakePinecone } from '../../fakes/pinecone.ts';
import { refusalOf } from '../../support/refused.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const ROLES = ['ControlPlaneViewer', 'DataPlaneEditor'] as const;

describe('Pinecone', () => {
  const adminOf = (one: FakePinecone): object => ({
    clientId: one.clientId,
    clientSecret: one.clientSecret,
    loginUrl: one.login.url,
  });

  describeProvider('Pinecone', keyHarness(pineconeCase()));
  describeKeyFaults('Pinecone', pineconeCase());

  describe('has of its own', () => {
    takeNoTimeToWait();
    let one: FakePinecone;
    const target = (declared: object = {}) =>
      pineconeProvider.target({
        project: randomUUID(),
        label: 'search',
        roles: ROLES,
        baseUrl: one.server.url,
        ...declared,
      });
    const context = (secret: object = {}): IssueContext & ProviderContext => ({
      clock: Date.now,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(JSON.stringify({ ...adminOf(one), baseUrl: one.server.url, ...secret })),
        ),
    });

    beforeAll(async () => {
      one = await FakePinecone.start();
    });
    beforeEach(() => {
      one.server.asked.length = 0;
      one.login.asked.length = 0;
      one.deletionMs = 100;
      one.quota = Number.POSITIVE_INFINITY;
      one.knowsRoles = true;
    });
    afterAll(async () => one[Symbol.asyncDispose]());

    it.for([
      [undefined, 'is missing'],
      [[], 'must not be empty'],
      [['ProjectEditor', 'ProjectEditor'], 'once'],
      [['ProjectOwner'], 'use one of ProjectEditor, ProjectViewer, ControlPlaneEditor'],
    ] as const)('roles that have to be declared: %j is refused', async ([roles, said]) => {
      const error = await refusalOf(() => target({ roles }));
      expect(error).toMatchObject({
        code: 'ERR_DECLARATION',
        field: expect.stringMatching(/^target\.roles/),
      });
      expect(`${error.message} ${error.remedy ?? ''}`).toContain(said);
    });

    it('keys with the declared roles, never with what Pinecone gives where nothing is said', async () => {
      const { handle } = await pineconeProvider.issue(target(), randomUUID(), context());
      expect(one.roles.get(handle.id)).toEqual(ROLES);
    });

    it('a refusal of a key with other roles than those declared, which is found again to be ended', async () => {
      const wide = target();
      const token = randomUUID();
      one.knowsRoles = false;
      const error = await refusalOf(async () => pineconeProvider.issue(wide, token, context()));
      expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'target.roles' });
      expect(await pineconeProvider.list?.(wide, context())).toMatchObject([{ token }]);
    });

    it('a difference of roles between old and new that is named in both directions', async () => {
      const before = await pineconeProvider.issue(target(), randomUUID(), context());
      const after = await pineconeProvider.issue(
        target({ roles: ['DataPlaneEditor', 'ControlPlaneEditor'] }),
        randomUUID(),
        context(),
      );
      const error = await refusalOf(async () =>
        pineconeProvider.comparePermissions?.(target(), before.handle, after.handle, context()),
      );
      expect(error.code).toBe('ERR_REJECTED');
      expect(error.message).toContain('lacks [ControlPlaneViewer] and adds [ControlPlaneEditor]');
    });

    it('a test that a key for data alone passes, although it may list no index, until it is gone', async () => {
      const data = target({ roles: ['DataPlaneViewer'] });
      const { handle, material } = await pineconeProvider.issue(data, randomUUID(), context());
      await pineconeProvider.verify(data, material, context());
      await pineconeProvider.revoke(data, handle, { endSessions: true }, context());
      const error = await refusalOf(async () => pineconeProvider.verify(data, material, context()));
      expect(error.code).toBe('ERR_REJECTED');
      expect(one.server.asked.filter(({ path }) => path === '/indexes').map(({ status }) => status)).toEqual([
        403, 401,
      ]);
    });

    it('no such leniency for a key that may list indexes', async () => {
      const seeing = target();
      const { material } = await pineconeProvider.issue(seeing, randomUUID(), context());
      one.server.fail({ kind: 'reply', status: 403, body: {} }, ({ path }) => path === '/indexes');
      const error = await refusalOf(async () => pineconeProvider.verify(seeing, material, context()));
      expect(error.code).toBe('ERR_REJECTED');
    });

    it('a deletion that is confirmed only once the key is gone', async () => {
      const slow = target();
      const { handle } = await pineconeProvider.issue(slow, randomUUID(), context());
      one.deletionMs = 400;
      const done = await pineconeProvider.revoke(slow, handle, { endSessions: false }, context());
      expect(done).toMatchObject({ confirmed: true, detail: `${handle.id} is gone` });
      expect([...one.keys.all.keys()]).not.toContain(handle.id);
    });

    it('a deletion that lasts too long, which is not confirmed, and is once somebody looks later', async () => {
      const slow = target();
      const { handle } = await pineconeProvider.issue(slow, randomUUID(), context());
      one.deletionMs = 3600;
      const done = await pineconeProvider.revoke(slow, handle, { endSessions: false }, context());
      expect(done).toMatchObject({ confirmed: false, detail: `${handle.id} is active` });
      const again = await pineconeProvider.revoke(slow, handle, { endSessions: false }, context());
      expect(again.confirmed).toBe(true);
    }, 15_000);

    it('a quota that is said to be full, without anything removed', async () => {
      const full = target();
      one.add(full.project, 'made by hand');
      one.quota = 1;
      const error = await refusalOf(async () => pineconeProvider.issue(full, randomUUID(), context()));
      expect(error).toMatchObject({ code: 'ERR_CAPACITY', retryable: false });
      expect(one.keys.of(full.project)).toHaveLength(1);
    });

    it.for([401, 403])('a login that answers %i, after which nothing is asked of the API', async (status) => {
      one.login.fail({ kind: 'reply', status, body: { error: 'access_denied' } });
      const error = await refusalOf(async () => pineconeProvider.issue(target(), randomUUID(), context()));
      expect(error).toMatchObject({ code: 'ERR_ADMIN_DENIED', field: 'admin' });
      expect(one.server.asked).toEqual([]);
    });

    it('a login that is refused to what is declared: only the administrative secret names where it is', async () => {
      const elsewhere = await refusalOf(() => target({ loginUrl: one.login.url }));
      expect(elsewhere).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.loginUrl' });
      const stored = pineconeProvider.storedTarget({ ...target(), loginUrl: one.server.url });
      await pineconeProvider.preflight(stored, context());
      expect(one.login.asked).toMatchObject([{ path: '/oauth/token' }]);
      expect(one.server.asked.map(({ path }) => path)).not.toContain('/oauth/token');
    });

    it.for([
      ['http://login.pinecone.io', 'must begin with https'],
      ['https://169.254.169.254', 'not an address of the public internet'],
      ['https://user@login.pinecone.io', 'without a login'],
    ])('no login at %s', async ([loginUrl = '', said = '']) => {
      const error = await refusalOf(async () => pineconeProvider.preflight(target(), context({ loginUrl })));
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.loginUrl' });
      expect(error.message).toContain(said);
      expect([...one.server.asked, ...one.login.asked]).toEqual([]);
    });

    it('no login that is redirected to another host', async () => {
      const headers = { location: `${one.server.url}/oauth/token` };
      one.login.fail({ kind: 'reply', status: 307, headers });
      const error = await refusalOf(async () => pineconeProvider.preflight(target(), context()));
      expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'admin.loginUrl' });
      expect(one.server.asked).toEqual([]);
    });

    it('no login for a target that the administrative secret is not for', async () => {
      const error = await refusalOf(async () =>
        pineconeProvider.preflight(target(), context({ baseUrl: 'https://api.pinecone.io' })),
      );
      expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      expect([...one.server.asked, ...one.login.asked]).toEqual([]);
    });

    it('no client secret, token or answer of the login in an error', async () => {
      const wrong = { clientSecret: 'pcsa-another-secret-of-somebody' };
      const errors = [
        await refusalOf(async () => pineconeProvider.preflight(target(), context(wrong))),
        await refusalOf(async () => pineconeProvider.preflight(target(), context({ clientId: 7 }))),
      ];
      for (const kind of ['malformed', 'reset', 'huge'] as const) {
        one.login.fail({ kind });
        errors.push(await refusalOf(async () => pineconeProvider.preflight(target(), context())));
      }
      expect(errors.map(({ code }) => code)).toEqual([
        'ERR_ADMIN_DENIED',
        'ERR_MATERIAL_MISMATCH',
        'ERR_UNAVAILABLE',
        'ERR_UNAVAILABLE',
        'ERR_UNAVAILABLE',
      ]);
      const text = errors
        .map((error) => inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error))
        .join();
      for (const secret of [one.clientSecret, wrong.clientSecret, 'sk-leaked'])
        expect(text).not.toContain(secret);
    });

    it('another version of its API where the target names one, for the login too', async () => {
      const seen: unknown[] = [];
      const watch = ({ headers }: { headers: Record<string, unknown> }): boolean => {
        seen.push(headers['x-pinecone-api-version']);
        return false;
      };
      one.server.fail({ kind: 'reset' }, watch);
      one.login.fail({ kind: 'reset' }, watch);
      await pineconeProvider.preflight(target({ apiVersion: '2027-01' }), context());
      await pineconeProvider.preflight(target(), context());
      one.server.heal();
      one.login.heal();
      expect(seen).toEqual(['2027-01', '2027-01', '2026-04', '2026-04']);
    });
  });
});

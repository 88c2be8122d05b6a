import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { pineconeServiceAccountProvider as provider } from '../../../shared/providers/pinecone-service-account/provider.ts';
import type { IssueContext, ProviderContext } from '../../../shared/providers/provider.ts';
import { pineconeServiceAccountCase } from '../../contract/cases/pinecone-service-account.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { failureOf } from '../../contract/provider-life.ts';
import { FakePineconeAccounts } from '../../fakes/pinecone-accounts.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const FORCED = { endSessions: true, compromised: true, ownLogin: true };
const PROJECT = '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11';
const OWNER = ['OrgOwner'];

describe('service accounts of Pinecone', () => {
  describeProvider('service accounts of Pinecone', keyHarness(pineconeServiceAccountCase()));
  describeKeyFaults('service accounts of Pinecone', pineconeServiceAccountCase());

  describe('where one administers itself', () => {
    takeNoTimeToWait();
    let fake: FakePineconeAccounts;
    const target = (declared: object = {}) =>
      provider.target({
        label: 'rekey',
        roles: OWNER,
        baseUrl: fake.server.url,
        loginUrl: fake.server.url,
        ...declared,
      });
    const secret = (changes: object = {}): Redacted<string> => {
      const { url } = fake.server;
      return new Redacted(
        JSON.stringify({ ...fake.secret(fake.owner), baseUrl: url, loginUrl: url, ...changes }),
      );
    };
    const ctx = (changes: object = {}): ProviderContext & IssueContext => ({
      clock: Date.now,
      generation: 2,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () => Promise.resolve(secret(changes)),
    });
    const own = () => ({ id: fake.owner.id, generation: 1 });

    beforeEach(async () => {
      fake = await FakePineconeAccounts.start();
    });
    afterEach(async () => fake[Symbol.asyncDispose]());

    it('is recognised by the client id in its secret, whatever page of the organization it is on', async () => {
      fake.page = 2;
      for (const name of ['one', 'two', 'three', 'four']) fake.add(name, [`ProjectOwner@${PROJECT}`]);
      const last = fake.add('last', OWNER);
      const material = provider.material(secret(fake.secret(last)));
      expect(await provider.adoption?.identify(target(), material, ctx())).toBe(last.id);
    });

    it('is not taken over with other roles than are declared', async () => {
      const narrow = fake.add('narrow', [`ProjectOwner@${PROJECT}`]);
      const material = provider.material(secret(fake.secret(narrow)));
      const refused = failureOf(async () => provider.adoption?.identify(target(), material, ctx()));
      expect(await refused).toMatchObject({ code: 'ERR_ADOPTION', field: 'target' });
    });

    it('ends itself, which its own refusal confirms; the same again is success', async () => {
      for (let count = 0; count < 2; count++) {
        const done = await provider.revoke(target(), own(), FORCED, ctx());
        expect(done.confirmed).toBe(true);
        expect(await fake.takes(fake.owner.value)).toBe(false);
      }
      expect(await provider.revoke(target(), own(), FORCED, ctx())).toMatchObject({
        confirmed: true,
        method: 'negative-authentication',
      });
    });

    it.for([403, 500])('does not take %d at its login for its end', async (status) => {
      fake.server.fail({ kind: 'reply', status, body: {} }, ({ path }) => path === '/oauth/token', 9);
      const refused = await failureOf(async () => provider.revoke(target(), own(), FORCED, ctx()));
      expect(refused).toMatchObject({ code: status === 403 ? 'ERR_ADMIN_DENIED' : 'ERR_UNAVAILABLE' });
      expect(fake.keys.all.size).toBe(1);
    });

    it('does not take a token that is refused for its end while its login is let in', async () => {
      fake.server.fail({ kind: 'reply', status: 401, body: {} }, ({ method }) => method === 'GET', 1);
      const refused = await failureOf(async () => provider.revoke(target(), own(), FORCED, ctx()));
      expect(refused).toMatchObject({ code: 'ERR_ADMIN_DENIED' });
      expect(fake.keys.all.size).toBe(1);
    });

    it('does not take the end of its login for the end of another', async () => {
      const other = fake.add('other', OWNER);
      fake.keys.all.delete(fake.owner.id);
      const handle = { id: other.id, generation: 1 };
      const refused = failureOf(async () => provider.revoke(target(), handle, { endSessions: true }, ctx()));
      expect(await refused).toMatchObject({ code: 'ERR_ADMIN_DENIED' });
      expect(fake.keys.all.has(other.id)).toBe(true);
    });

    it('makes its successor with its own roles; what may do more is refused', async () => {
      const issued = await provider.issue(target(), randomUUID(), ctx());
      expect(await provider.comparePermissions?.(target(), own(), issued.handle, ctx())).toBe('same');
      fake.generous = [{ resource_type: 'project', resource_id: PROJECT, role: 'ProjectOwner' }];
      const wide = target({ label: 'wide' });
      const refused = await failureOf(async () => provider.issue(wide, randomUUID(), ctx()));
      expect(refused).toMatchObject({ code: 'ERR_REJECTED', field: 'target.roles' });
      // It is found again, to be ended.
      expect(await provider.list?.(wide, ctx())).toHaveLength(1);
    });

    it('refuses a successor that may do something else than its predecessor', async () => {
      const issued = await provider.issue(target(), randomUUID(), ctx());
      const narrow = fake.add('narrow', [`ProjectOwner@${PROJECT}`]);
      const old = { id: narrow.id, generation: 1 };
      const refused = failureOf(async () =>
        provider.comparePermissions?.(target(), old, issued.handle, ctx()),
      );
      expect(await refused).toMatchObject({ code: 'ERR_REJECTED' });
    });

    it('tests one that owns nothing by a token that is known, though it may read nothing', async () => {
      const declared = target({ roles: [`DataPlaneViewer@${PROJECT}`] });
      const issued = await provider.issue(declared, randomUUID(), ctx());
      const isRead = ({ path }: { path: string }): boolean => path === '/admin/projects';
      fake.server.fail({ kind: 'reply', status: 403, body: {} }, isRead);
      await provider.verify(declared, issued.material, ctx());
      fake.server.fail({ kind: 'reply', status: 401, body: {} }, isRead);
      const refused = failureOf(async () => provider.verify(declared, issued.material, ctx()));
      expect(await refused).toMatchObject({ code: 'ERR_REJECTED' });
    });

    it('sends its secret to no other login than the secret names', async () => {
      const elsewhere = target({ loginUrl: 'https://login.example.com' });
      const refused = await failureOf(async () => provider.preflight(elsewhere, ctx()));
      expect(refused).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.loginUrl' });
      expect(fake.server.asked).toEqual([]);
    });

    it('moves client id and secret together, and keeps whatever else stands in its secret', async () => {
      const { handle, material } = await provider.issue(target(), randomUUID(), ctx());
      const next = provider.serialize(material, secret({ note: 'of platform' }));
      expect(JSON.parse(next.reveal())).toEqual({
        clientId: handle.id,
        clientSecret: fake.keys.all.get(handle.id)?.value,
        baseUrl: fake.server.url,
        loginUrl: fake.server.url,
        note: 'of platform',
      });
      expect(handle.id).not.toBe(fake.owner.id);
    });

    it.for([[['ProjectOwner']], [[`OrgOwner@${PROJECT}`]], [['OrgOwner', 'OrgOwner']], [[]], [['Admin']]])(
      'refuses the roles %j',
      async ([roles]) => {
        const refused = await failureOf(() => target({ roles }));
        expect(refused).toMatchObject({
          code: 'ERR_DECLARATION',
          field: expect.stringMatching(/^target\.roles/),
        });
      },
    );
  });
});

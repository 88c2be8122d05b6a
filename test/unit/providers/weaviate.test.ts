import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { weaviateProvider } from '../../../shared/providers/weaviate/provider.ts';
import { weaviateCase } from '../../contract/cases/weaviate.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeWeaviate } from '../../fakes/weaviate.ts';

describe('Weaviate', () => {
  describeProvider('Weaviate', keyHarness(weaviateCase()));
  describeKeyFaults('Weaviate', weaviateCase());

  describe('has of its own', () => {
    let one: FakeWeaviate;
    const target = (declared: object = {}) =>
      weaviateProvider.target({
        label: `search-${randomUUID().slice(0, 8)}`,
        roles: ['searcher'],
        baseUrl: `${one.server.url}/v1`,
        ...declared,
      });
    const context = (generation = 1): IssueContext => ({
      clock: Date.now,
      generation,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(JSON.stringify({ adminKey: one.adminKey, baseUrl: `${one.server.url}/v1` })),
        ),
    });

    beforeAll(async () => {
      one = await FakeWeaviate.start();
    });
    afterAll(async () => one[Symbol.asyncDispose]());

    it('a user for each generation, whose name tells label, generation and token', async () => {
      const its = target();
      const token = randomUUID();
      const { handle } = await weaviateProvider.issue(its, token, context(7));
      expect(handle).toMatchObject({ generation: 7, token });
      expect(handle.id.replace(/_[0-9a-f]{8}$/, '')).toBe(`rekey.${its.label}.7.${token}`);
      expect(await weaviateProvider.list?.(its, context())).toEqual([handle]);
    });

    it('another user for a repeated attempt, whom a late removal of the first does not hit', async () => {
      const its = target();
      const token = randomUUID();
      const lost = await weaviateProvider.issue(its, token, context());
      const { handle, material } = await weaviateProvider.issue(its, token, context());
      await weaviateProvider.revoke(its, lost.handle, { endSessions: true }, context());
      await weaviateProvider.verify(its, material, context());
      expect(await weaviateProvider.list?.(its, context())).toEqual([handle]);
    });

    it('users with the declared roles and no other', async () => {
      const { handle } = await weaviateProvider.issue(
        target({ roles: ['searcher', 'indexer'] }),
        randomUUID(),
        context(),
      );
      expect(one.assigned.get(handle.id)).toEqual(['searcher', 'indexer']);
    });

    it('never a call that rotates the key of a user who lives', async () => {
      const its = target();
      const token = randomUUID();
      await weaviateProvider.issue(its, token, context());
      await weaviateProvider.issue(its, token, context());
      expect(one.server.asked.filter(({ path }) => path.endsWith('/rotate-key'))).toEqual([]);
    });

    it.for([
      [undefined, 'target.roles: is missing'],
      [[], 'must not be empty'],
      [['searcher', 'searcher'], 'once'],
      [['all of it'], 'name of a role'],
      [['searcher', 'root'], 'but root'],
      [['read-only'], 'but root'],
    ] as const)('roles that have to be declared: %j is refused', ([roles, said]) => {
      expect(() => target({ roles })).toThrow(said);
    });

    it('an address that has to be declared', () => {
      expect(() => target({ baseUrl: undefined })).toThrow(/baseUrl/);
    });

    it('a refusal of a role that does not exist, before a user is made', async () => {
      const its = target({ roles: ['searcher', 'nobody'] });
      await expect(weaviateProvider.issue(its, randomUUID(), context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        field: 'target.roles',
        message: expect.stringContaining('nobody does not exist'),
      });
      expect(await weaviateProvider.list?.(its, context())).toEqual([]);
    });

    it('a refusal of a role that may do more than read where only that is declared', async () => {
      const its = target({ roles: ['searcher', 'indexer'], access: 'read' });
      await expect(weaviateProvider.issue(its, randomUUID(), context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringContaining('create_data'),
      });
      expect(await weaviateProvider.list?.(its, context())).toEqual([]);
      await weaviateProvider.issue(target({ access: 'read' }), randomUUID(), context());
    });

    it('access that is to read only where that is known', () => {
      const accessOf = (declared: object) => weaviateProvider.access?.(target(declared));
      expect([
        accessOf({ roles: ['viewer'] }),
        accessOf({ roles: ['searcher'] }),
        accessOf({ roles: ['searcher'], access: 'read' }),
      ]).toEqual(['read', 'write', 'read']);
    });

    it('no key for a user who did not get the roles; the next attempt removes that user', async () => {
      const its = target();
      const token = randomUUID();
      one.forgetsRoles = true;
      await expect(weaviateProvider.issue(its, token, context())).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
        field: 'target.roles',
      });
      one.forgetsRoles = false;
      const { handle } = await weaviateProvider.issue(its, token, context());
      expect(await weaviateProvider.list?.(its, context())).toEqual([handle]);
    });

    it('a difference of roles between old and new that is named in both directions', async () => {
      const its = target();
      const before = await weaviateProvider.issue(its, randomUUID(), context(1));
      const after = await weaviateProvider.issue(its, randomUUID(), context(2));
      one.assigned.set(before.handle.id, ['viewer']);
      await expect(
        weaviateProvider.comparePermissions?.(its, before.handle, after.handle, context()),
      ).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringContaining('lacks [viewer] and adds [searcher]'),
      });
    });

    it('a user who has never come, told apart from one that nothing is said of', async () => {
      const its = target();
      const { handle, material } = await weaviateProvider.issue(its, randomUUID(), context());
      const look = async () => weaviateProvider.usage?.(its, handle, context());
      expect(await look()).toMatchObject({ lastSeen: null, lagSeconds: 60 });
      await weaviateProvider.verify(its, material, context());
      expect(await look()).toMatchObject({ lastSeen: expect.stringMatching(/^20/) });
      const body = { userId: handle.id, dbUserType: 'db_user', roles: ['searcher'], active: true };
      one.server.fail({ kind: 'reply', status: 200, body });
      expect(await look()).toBe('unknown');
    });

    it('a suspension that somebody else was faster with', async () => {
      const its = target();
      const { handle } = await weaviateProvider.issue(its, randomUUID(), context());
      one.server.fail({ kind: 'reply', status: 409 }, ({ path }) => path.endsWith('/deactivate'));
      await expect(weaviateProvider.suspension?.suspend(its, handle, context())).resolves.toBeUndefined();
    });

    it('no login for a target that the administrative secret is not for, or for one that names no address', async () => {
      one.server.asked.length = 0;
      const admins = [{ baseUrl: 'https://weaviate.example/v1' }, {}];
      for (const place of admins) {
        const admin = async () =>
          Promise.resolve(new Redacted(JSON.stringify({ adminKey: one.adminKey, ...place })));
        await expect(weaviateProvider.preflight(target(), { ...context(), admin })).rejects.toMatchObject({
          code: 'ERR_DECLARATION',
          field: 'target.baseUrl',
        });
      }
      expect(one.server.asked).toEqual([]);
    });
  });
});

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { chromaProvider } from '../../../shared/providers/chroma/provider.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { chromaCase } from '../../contract/cases/chroma.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeChroma } from '../../fakes/chroma.ts';
import { sha256Of } from '../../fakes/deploy-hook.ts';

describe('Chroma behind a proxy', () => {
  describeProvider('Chroma behind a proxy', keyHarness(chromaCase()));
  describeKeyFaults('Chroma behind a proxy', chromaCase());

  describe('has of its own', () => {
    let one: FakeChroma;
    const target = (declared: object = {}) =>
      chromaProvider.target({
        label: 'search',
        access: 'read',
        tenant: 'default_tenant',
        database: 'default_database',
        baseUrl: one.server.url,
        ...declared,
      });
    const context = (): IssueContext => ({
      clock: Date.now,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () => {
        const { url: baseUrl } = one.server;
        return Promise.resolve(new Redacted(JSON.stringify({ ...one.hook.admin(baseUrl), baseUrl })));
      },
    });
    const issue = async (declared: object = {}) =>
      chromaProvider.issue(target(declared), randomUUID(), context());
    const ask = async (token: string, method: string, path: string) =>
      (
        await fetch(`${one.server.url}/api/v2/tenants/t/databases/d/collections${path}`, {
          method,
          headers: { authorization: `Bearer ${token}` },
        })
      ).status;

    beforeEach(async () => {
      one = await FakeChroma.start();
    });
    afterEach(async () => one[Symbol.asyncDispose]());

    it('access, tenant and database that have to be declared', () => {
      for (const field of ['access', 'tenant', 'database'])
        expect(() => target({ [field]: undefined })).toThrow(`target.${field}`);
      expect(() => target({ access: 'manage' })).toThrow('target.access');
      const accessOf = (access: string) => chromaProvider.access?.(target({ access }));
      expect([accessOf('read'), accessOf('read-write')]).toEqual(['read', 'write']);
    });

    it('tokens of which the hook gets the SHA-256 alone', async () => {
      const sent: string[] = [];
      one.server.fail({ kind: 'reset' }, ({ text }) => {
        sent.push(text);
        return false;
      });
      const { apiKey } = (await issue()).material.reveal();
      expect(sent.join()).toContain(sha256Of(apiKey));
      expect(sent.join()).not.toContain(apiKey);
    });

    it('tokens that may do what is declared and nothing more', async () => {
      const [reader, writer] = [await issue(), await issue({ label: 'index', access: 'read-write' })].map(
        ({ material }) => material.reveal().apiKey,
      );
      const tried = async (token = '') => [
        await ask(token, 'GET', ''),
        await ask(token, 'POST', '/1/query'),
        await ask(token, 'POST', '/1/add'),
        await ask(token, 'DELETE', '/1'),
      ];
      expect(await tried(reader)).toEqual([200, 200, 403, 403]);
      expect((await tried(writer)).every((status) => status !== 403)).toBe(true);
    });

    it('a refusal of a hook that gives a token other rights, which is found again to be ended', async () => {
      one.hook.ignoresAccess = true;
      const refused = { code: 'ERR_REJECTED', field: 'target.access' };
      await expect(issue()).rejects.toMatchObject(refused);
      expect(await chromaProvider.list?.(target(), context())).toHaveLength(1);
    });

    it.for<[string, (its: FakeChroma) => unknown]>([
      ['Chroma without a proxy', (its) => (its.hasProxy = false)],
      ['a proxy that takes any token', (its) => (its.takesAny = true)],
    ])('a refusal at registration of %s', async ([, spoil]) => {
      await expect(chromaProvider.preflight(target(), context())).resolves.toEqual([]);
      spoil(one);
      await expect(chromaProvider.preflight(target(), context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        field: 'target.baseUrl',
        remedy: expect.stringContaining('put a proxy in front of it') as string,
      });
    });
  });
});

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { qdrantStaticProvider } from '../../../shared/providers/qdrant-static/provider.ts';
import { qdrantStaticCase } from '../../contract/cases/qdrant-static.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeDeployedQdrant } from '../../fakes/qdrant.ts';

const provider = qdrantStaticProvider;
const END = { endSessions: true };

describe('static keys of Qdrant', () => {
  describeProvider('Qdrant by static keys', keyHarness(qdrantStaticCase()));
  describeKeyFaults('Qdrant by static keys', qdrantStaticCase());

  describe('have of their own', () => {
    let one: FakeDeployedQdrant;
    const target = (declared: object = {}) =>
      provider.target({ label: 'search', access: 'manage', baseUrl: one.server.url, ...declared });
    const context = (generation = 1, secret: object = {}): IssueContext => ({
      clock: Date.now,
      generation,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () => {
        const { url: baseUrl } = one.server;
        return Promise.resolve(
          new Redacted(JSON.stringify({ ...one.hook.admin(baseUrl), baseUrl, ...secret })),
        );
      },
    });
    const issue = async (generation = 1, token = randomUUID()) => {
      const issued = await provider.issue(target(), token, context(generation));
      return { ...issued, token, value: issued.material.reveal().apiKey };
    };
    const live = async (generation = 1) => {
      const issued = await issue(generation);
      await provider.activate?.(target(), issued.token, issued, context());
      return issued;
    };
    const look = async (handle: CredentialHandle, secret: object = {}) =>
      provider.deactivation?.(target(), handle, context(1, secret));
    const takes = async (key: string) =>
      (await fetch(`${one.server.url}/collections`, { headers: { 'api-key': key } })).ok;

    beforeEach(async () => {
      one = await FakeDeployedQdrant.start();
      one.hook.places = 2;
    });
    afterEach(async () => {
      vi.restoreAllMocks();
      await one[Symbol.asyncDispose]();
    });

    it('all rights, which a target has to say', () => {
      expect(() => target({ access: undefined })).toThrow('target.access');
      expect(() => target({ access: 'read' })).toThrow('target.access');
      expect(provider.access?.(target())).toBe('write');
    });

    it('a new one that the server takes after its restart alone, and the old one works all the while', async () => {
      const first = await live();
      one.hook.restartMs = 300;
      const second = await issue(2);
      expect([await takes(first.value), await takes(second.value)]).toEqual([true, false]);
      await provider.activate?.(target(), second.token, second, context());
      expect([await takes(first.value), await takes(second.value)]).toEqual([true, true]);
    });

    it('a new one that does not count while the hook has not deployed it everywhere, though a node takes it', async () => {
      const first = await live();
      one.hook.restartMs = 400;
      const second = await issue(2);
      one.qdrant.restart({ apiKey: first.value, altApiKey: second.value, jwtRbac: false });
      const before = one.hook.restarts;
      expect(await takes(second.value)).toBe(true);
      await provider.activate?.(target(), second.token, second, context());
      expect(one.hook.restarts).toBe(before + 1);
    });

    it('an end that counts once the server refuses the key, and no sooner', async () => {
      const first = await live();
      const second = await live(2);
      one.hook.restartMs = 300;
      const ending = provider.revoke(target(), first.handle, END, context());
      await vi.waitFor(() => expect(one.server.asked.at(-1)?.method).toBe('GET'));
      expect(await takes(first.value)).toBe(true);
      expect(await ending).toMatchObject({ confirmed: true, method: 'negative-authentication' });
      expect([await takes(first.value), await takes(second.value)]).toEqual([false, true]);
    });

    it('an end that is not confirmed where the deployment takes longer than a step may, and is later', async () => {
      const { handle, value } = await live();
      one.hook.restartMs = 500;
      let elapsed = 0;
      vi.spyOn(performance, 'now').mockImplementation(() => (elapsed += 30_000));
      const begun = await provider.revoke(target(), handle, END, context());
      expect([begun.confirmed, await takes(value)]).toEqual([false, true]);
      await vi.waitFor(async () => {
        const again = await provider.revoke(target(), handle, END, context());
        expect([again.confirmed, await takes(value)]).toEqual([true, false]);
      }, 5000);
    });

    it('no end where the last key leaves the server open', async () => {
      const { handle } = await live();
      one.hook.locks = false;
      let elapsed = 0;
      vi.spyOn(performance, 'now').mockImplementation(() => (elapsed += 30_000));
      expect(await provider.revoke(target(), handle, END, context())).toMatchObject({
        confirmed: false,
        detail: expect.stringContaining('still taken') as string,
      });
    });

    it('an end for which the hook’s word is not enough', async () => {
      const { handle, value } = await live();
      await provider.revoke(target(), handle, END, context());
      one.qdrant.restart({ apiKey: value, jwtRbac: false });
      expect(await look(handle)).toMatchObject({
        confirmed: false,
        detail: expect.stringContaining('still taken') as string,
      });
    });

    it('an end that can be seen as long as the seed is known that the key came from', async () => {
      const { handle } = await live();
      // Another seed makes another login of it, which has to see something.
      one.hook.addForeign('made by hand');
      await provider.revoke(target(), handle, END, context());
      const next = 'another-seed-of-keys-0123456789abcdefghij';
      expect(await look(handle, { keySeeds: [next] })).toMatchObject({
        confirmed: false,
        detail: expect.stringContaining('not to be had') as string,
      });
      const both = await look(handle, { keySeeds: [next, one.hook.seed] });
      expect(both?.confirmed).toBe(true);
    });

    it('one key and one deployment for each token, however often it is asked for', async () => {
      await live();
      const before = one.hook.restarts;
      const token = randomUUID();
      one.server.fail({ kind: 'lost' }, ({ method }) => method === 'PUT');
      await expect(issue(2, token)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
      const [again, twice] = [await issue(2, token), await issue(2, token)];
      expect(twice.value).toBe(again.value);
      expect([one.hook.keys.all.size, one.hook.restarts - before]).toEqual([2, 1]);
    });

    it('two places: what stands in the way of a rotation is told at registration, and nothing is ended to make room', async () => {
      const foreign = one.hook.addForeign('made by hand');
      expect(await provider.preflight(target(), context())).toMatchObject([
        { field: 'target', message: expect.stringContaining(foreign.id) as string },
      ]);
      await live();
      await expect(issue(2)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
      expect(await takes(foreign.value)).toBe(false);
      expect(one.hook.keys.all.has(foreign.id)).toBe(true);
    });

    it('a refusal at registration of a server that lets in whoever comes', async () => {
      one.qdrant.restart({ jwtRbac: false });
      await expect(provider.preflight(target(), context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        field: 'target.baseUrl',
        remedy: expect.stringContaining('QDRANT__SERVICE__API_KEY') as string,
      });
    });

    it('a hook that is reached where the administrative secret says, over https or on a declared host', async () => {
      for (const hookUrl of ['http://169.254.169.254/hook', 'http://hook.example', 'https://10.0.0.1/hook']) {
        await expect(provider.preflight(target(), context(1, { hookUrl }))).rejects.toMatchObject({
          code: 'ERR_DECLARATION',
          field: 'admin.adminUrl',
        });
      }
      expect(one.server.asked).toEqual([]);
      expect(() => target({ hookUrl: one.server.url })).toThrow('hookUrl');
    });
  });
});

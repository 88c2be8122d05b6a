import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { Api } from '../../../shared/providers/http/api.ts';
import { operate } from '../../../shared/providers/google-cloud/operation.ts';
import { googleProvider } from '../../../shared/providers/google/provider.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { googleCase } from '../../contract/cases/google.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeGoogle } from '../../fakes/google.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const GEMINI = 'generativelanguage.googleapis.com';
const ACCOUNT = 'agents@shop.iam.gserviceaccount.com';

describe('Google', () => {
  describeProvider('Google', keyHarness(googleCase()));
  describeKeyFaults('Google', googleCase());

  describe('has of its own', () => {
    takeNoTimeToWait();
    let fake: FakeGoogle;
    const target = (declared: object = {}) =>
      googleProvider.target({
        project: `p-${randomUUID()}`,
        serviceAccount: ACCOUNT,
        label: 'chat',
        baseUrl: fake.server.url,
        ...declared,
      });
    const context = (secret: object = {}): IssueContext => ({
      clock: Date.now,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () => {
        const { url } = fake.server;
        return Promise.resolve(
          new Redacted(JSON.stringify({ ...fake.secret(url), baseUrl: url, ...secret })),
        );
      },
    });
    const paths = (): string[] => fake.server.asked.map(({ method, path }) => `${method} ${path}`);

    beforeAll(async () => {
      fake = await FakeGoogle.start();
    });
    beforeEach(() => {
      fake.server.asked.length = 0;
      fake.operationMs = 20;
      fake.heeds = true;
      fake.server.heal();
    });
    afterAll(async () => fake[Symbol.asyncDispose]());

    it.for([
      [{ services: [] }, /^target\.services/],
      [{ services: ['aiplatform.googleapis.com'] }, /^target\.services/],
      [{ services: [GEMINI, GEMINI] }, /^target\.services/],
      [{ serviceAccount: 'agents' }, /^target\.serviceAccount/],
      [{ tokenUri: 'https://elsewhere.example' }, /^target\.tokenUri/],
    ] as const)('a refusal of the target with %j', ([declared, field]) => {
      expect(() => target(declared)).toThrow(
        expect.objectContaining({ code: 'ERR_DECLARATION', field: expect.stringMatching(field) }),
      );
    });

    it('keys that act as the service account and may call Gemini alone, where nothing else is declared', async () => {
      const { handle } = await googleProvider.issue(target(), randomUUID(), context());
      expect(fake.about.get(handle.id)).toMatchObject({
        serviceAccountEmail: ACCOUNT,
        restrictions: { apiTargets: [{ service: GEMINI }] },
      });
    });

    it('a refusal of a key that Google has left unbound or unrestricted, also when it is found again', async () => {
      fake.heeds = false;
      const [here, token] = [target(), randomUUID()];
      for (let twice = 0; twice < 2; twice++) {
        await expect(googleProvider.issue(here, token, context())).rejects.toMatchObject({
          code: 'ERR_REJECTED',
          field: 'target.services',
        });
      }
      // An abort finds it to end it.
      expect(await googleProvider.list?.(here, context())).toMatchObject([{ token }]);
    });

    it('one key for one token, however many attempts run at once', async () => {
      const [here, token] = [target(), randomUUID()];
      const issued = await Promise.all(
        [1, 2, 3].map(async () => googleProvider.issue(here, token, context())),
      );
      expect(new Set(issued.map(({ handle }) => handle.id)).size).toBe(1);
      expect(new Set(issued.map(({ material }) => material.reveal().apiKey)).size).toBe(1);
      expect(fake.keys.of(here.project)).toHaveLength(1);
    });

    it('no second key where the answer to the first is lost while it is being made', async () => {
      fake.operationMs = 500;
      const [here, token] = [target(), randomUUID()];
      fake.server.fail({ kind: 'lost' }, ({ method, path }) => method === 'POST' && path.endsWith('/keys'));
      await expect(googleProvider.issue(here, token, context())).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
      await googleProvider.issue(here, token, context());
      expect(fake.keys.of(here.project)).toHaveLength(1);
    });

    it('no key for a token whose key was deleted: Google keeps its id for 30 days', async () => {
      const [here, token] = [target(), randomUUID()];
      const { handle } = await googleProvider.issue(here, token, context());
      await googleProvider.revoke(here, handle, { endSessions: true }, context());
      await expect(googleProvider.issue(here, token, context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringContaining('is deleted'),
      });
    });

    it.for([
      [7, 'ERR_ADMIN_DENIED'],
      [8, 'ERR_CAPACITY'],
      [9, 'ERR_REJECTED'],
      [14, 'ERR_UNAVAILABLE'],
    ] as const)(
      'an operation that ends with code %i, told as %s without its message',
      async ([code, said]) => {
        fake.nextCode = code;
        const error: unknown = await googleProvider
          .issue(target(), randomUUID(), context())
          .catch((failure: unknown) => failure);
        expect(error).toMatchObject({ code: said });
        expect(JSON.stringify(error)).not.toContain('AQ.');
      },
    );

    it('an operation that does not end, which is given up while an emergency has time left', async () => {
      const call: Api['call'] = async ({ answer }) => Promise.resolve(answer.parse({ name: 'operations/1' }));
      const began = Date.now();
      const ended = operate({ call }, { method: 'DELETE', path: '/v2/it' });
      await expect(ended).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
      expect(Date.now() - began).toBeLessThan(15_000);
    });

    it('no word of lacking room where it was only asked too often', async () => {
      const body = {
        error: { code: 429, status: 'RESOURCE_EXHAUSTED', details: [{ reason: 'RATE_LIMIT_EXCEEDED' }] },
      };
      fake.server.fail(
        { kind: 'reply', status: 429, body },
        ({ method, path }) => method === 'POST' && path.endsWith('/keys'),
      );
      await expect(googleProvider.issue(target(), randomUUID(), context())).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
    });

    it('a revocation that counts although Google shows the key for 30 days more', async () => {
      const here = target();
      const { handle, material } = await googleProvider.issue(here, randomUUID(), context());
      const done = await googleProvider.revoke(here, handle, { endSessions: true }, context());
      expect(done).toMatchObject({ confirmed: true, detail: `${handle.id} is gone` });
      expect(fake.deleted.has(handle.id)).toBe(true);
      await expect(googleProvider.verify(here, material, context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
      });
      expect(await googleProvider.list?.(here, context())).toEqual([]);
    });

    it('a difference of account and restrictions between old and new that is named', async () => {
      const here = target();
      const token = randomUUID();
      const old = fake.add(here.project, `rekey.chat.1.${token}`, {
        serviceAccountEmail: 'old@shop.iam.gserviceaccount.com',
        restrictions: {
          apiTargets: [{ service: GEMINI }],
          serverKeyRestrictions: { allowedIps: ['192.0.2.1'] },
        },
      });
      const next = await googleProvider.issue(here, randomUUID(), { ...context(), generation: 2 });
      const compared = googleProvider.comparePermissions?.(
        here,
        { id: old.id, generation: 1 },
        next.handle,
        context(),
      );
      await expect(compared).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringMatching(/lacks \[.*allowedIps.*as old@.* and adds \[as agents@/),
      });
    });

    it('a project with more keys than a page has', async () => {
      const here = target();
      for (let count = 0; count < 650; count++) fake.add(here.project, 'made by hand');
      const token = randomUUID();
      const { handle } = await googleProvider.issue(here, token, context());
      expect(await googleProvider.list?.(here, context())).toEqual([handle]);
    });

    it('a login that its own file names, and that is refused without a word of it', async () => {
      const other = {
        private_key: fake.admin.private_key,
        client_email: 'nobody@shop.iam.gserviceaccount.com',
      };
      for (const secret of [other, { private_key: 'sk-canary' }]) {
        const error: unknown = await googleProvider
          .preflight(target(), context(secret))
          .catch((failure: unknown) => failure);
        expect(error).toMatchObject({
          field: 'admin',
          code: expect.stringMatching(/ERR_ADMIN_DENIED|ERR_MATERIAL_MISMATCH/),
        });
        expect(JSON.stringify(error)).not.toMatch(/canary|BEGIN|quoted/);
      }
      expect(paths()).toEqual(['POST /token']);
    });

    it('a way to end a key by hand, without a secret in it', () => {
      const told = googleProvider.manualRevocation?.(target({ project: 'shop' }), {
        id: 'rekey-1',
        generation: 1,
      });
      expect(told).toContain(
        `curl -X DELETE -H "authorization: Bearer $(gcloud auth print-access-token)" ` +
          'https://apikeys.googleapis.com/v2/projects/shop/locations/global/keys/rekey-1',
      );
    });

    it('no login at a private address', async () => {
      await expect(
        googleProvider.preflight(target(), context({ token_uri: 'https://169.254.169.254/token' })),
      ).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.token_uri' });
      expect(paths()).toEqual([]);
    });
  });
});

import type { webcrypto } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { CAPABILITIES } from '../../../shared/domain/capabilities.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { gcpServiceAccountCase } from '../../contract/cases/gcp-service-account.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { refusalOf } from '../../support/refused.ts';

describe('Keys of Google service accounts', () => {
  describeProvider('Google Cloud', keyHarness(gcpServiceAccountCase()));

  describe('with key pairs that are made beforehand, since thousands take long', () => {
    let spy: { mockRestore(): void };
    beforeAll(async () => {
      const make = crypto.subtle.generateKey.bind(crypto.subtle);
      const pairs: webcrypto.CryptoKeyPair[] = [];
      let count = 0;
      spy = vi.spyOn(crypto.subtle, 'generateKey').mockImplementation(async (...args: unknown[]) => {
        const at = count++ % 8;
        return (pairs[at] ??= (await make(...(args as Parameters<typeof make>))) as webcrypto.CryptoKeyPair);
      });
    });
    afterAll(() => spy.mockRestore());

    describeKeyFaults('Google Cloud', gcpServiceAccountCase());
  });

  describe('have of their own', () => {
    const google = gcpServiceAccountCase();
    const { provider } = google;
    const NOW = Date.parse('2026-11-26T02:00:00Z');
    const TOKEN = '8d6c1f0e-57a4-4bb0-9a53-0f3b7d1c9a10';
    let accounts = 0;
    const target = (declared: object = {}) =>
      provider.target({
        ...google.target(`app-${++accounts}`),
        label: 'app',
        baseUrl: google.url(),
        ...declared,
      });
    const context = (secret: object = {}, more: Partial<IssueContext> = {}): IssueContext => ({
      clock: () => NOW,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(JSON.stringify({ ...google.admin(google.url()), baseUrl: google.url(), ...secret })),
        ),
      ...more,
    });
    const isUpload = ({ path }: { path: string }): boolean => path.endsWith(':upload');

    beforeAll(async () => {
      await google.start();
      google.fake().labels.add('app');
    });
    beforeEach(() => {
      google.fake().server.heal();
      google.fake().server.asked.length = 0;
      Object.assign(google.fake(), { lag: 0, keeps: true });
    });
    afterAll(async () => google.stop());

    it('a key file in the secret, as Google gives it, with whose it is', async () => {
      const one = target();
      const { material, handle } = await provider.issue(one, TOKEN, context());
      const secret = JSON.parse(provider.serialize(material).reveal()) as Record<string, string>;
      expect(secret).toEqual({
        type: 'service_account',
        project_id: 'shop',
        private_key_id: handle.id,
        private_key: expect.stringMatching(
          /^-----BEGIN PRIVATE KEY-----\n[\s\S]+\n-----END PRIVATE KEY-----\n$/,
        ),
        client_email: one.serviceAccount,
        token_uri: `${google.url()}/token`,
        of: provider.identity?.(one),
        baseUrl: google.url(),
      });
    });

    it('the usual address of tokens where none is declared', async () => {
      const material = provider.material(
        new Redacted(JSON.stringify({ private_key: 'p', token_uri: 'https://elsewhere.example/token' })),
      );
      const { baseUrl: _baseUrl, ...usual } = target();
      const error = await refusalOf(() =>
        provider.assertBelongs(usual, { id: 'k', generation: 1 }, material),
      );
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'token_uri' });
    });

    it('the mark as the only part of a public certificate, which tells no label', async () => {
      const one = target();
      const { handle } = await provider.issue(one, TOKEN, context({}, { generation: 7 }));
      const certificate = google.fake().certificateOf(handle.id);
      expect(certificate.subject).toMatch(new RegExp(`^CN=[0-9a-f]{16}\\.7\\.${TOKEN}$`));
      expect(certificate.subjectAltName).toBeUndefined();
      expect(await provider.list?.(one, context())).toEqual([{ ...handle, generation: 7, token: TOKEN }]);
      const other = { ...one, label: 'another' };
      expect(await provider.list?.(other, context())).toEqual([]);
    });

    it.for([
      'CN=app.1.TOKEN',
      'CN=DIGEST.1.TOKEN,O=Shop',
      'CN=DIGEST.0001234567.TOKEN',
      'CN=DIGEST.1.short',
      'CN=Digest.1.TOKEN',
      'CN=a DIGEST.1.TOKEN',
    ])('no key for its own whose certificate says %s', async (form) => {
      const one = target();
      const { X509CertificateGenerator } = await import('../../../shared/providers/http/x509-library.ts');
      const algorithm = {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
      };
      const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const { handle } = await provider.issue(one, TOKEN, context());
      const [digest = ''] = google.fake().certificateOf(handle.id).subject.slice(3).split('.');
      const name = form
        .replace('DIGEST', digest)
        .replace('Digest', digest.toUpperCase().replace(/^\d*$/, 'A'))
        .replace('TOKEN', TOKEN);
      const certificate = await X509CertificateGenerator.createSelfSigned({
        name,
        signingAlgorithm: algorithm,
        keys,
      });
      google.fake().upload(one.serviceAccount, certificate.toString('pem'));
      expect(await provider.list?.(one, context())).toEqual([{ ...handle, token: TOKEN }]);
    });

    it.for([
      [1, 'Dec 27 02:00:00 2026 GMT'],
      [90, 'May 25 02:00:00 2027 GMT'],
      [undefined, 'Dec 31 23:59:59 9999 GMT'],
    ] as const)('an end after an interval of %s days and a margin', async ([days, end]) => {
      const about = days === undefined ? {} : { intervalSeconds: days * 86_400 };
      const { handle } = await provider.issue(target(), TOKEN, context({}, about));
      expect(google.fake().certificateOf(handle.id).validTo).toBe(end);
    });

    it('a Google whose reads are behind, which is waited for at each change', async () => {
      const one = target();
      google.fake().lag = 3;
      const issued = await provider.issue(one, TOKEN, context());
      await provider.activate?.(one, TOKEN, issued, context());
      const works = async (): Promise<boolean> => google.takes(issued.material.reveal().apiKey, one);
      await provider.suspension?.suspend(one, issued.handle, context());
      expect(await works()).toBe(false);
      await provider.suspension?.restore(one, issued.handle, context());
      expect(await works()).toBe(true);
      const done = await provider.revoke(one, issued.handle, { endSessions: true }, context());
      expect(done).toMatchObject({ confirmed: true, detail: `${issued.handle.id} is gone` });
    });

    it('a restoration that does not rest on what is shown: that may be of the time before', async () => {
      const one = target();
      const { handle, material } = await provider.issue(one, TOKEN, context());
      google.fake().keys.all.set(handle.id, { ...google.fake().keys.all.get(handle.id)!, active: false });
      const stale = { name: `projects/shop/serviceAccounts/x/keys/${handle.id}` };
      google
        .fake()
        .server.fail({ kind: 'reply', status: 200, body: stale }, ({ method }) => method === 'GET');
      await provider.suspension?.restore(one, handle, context());
      expect(await google.takes(material.reveal().apiKey, one)).toBe(true);
    });

    it('an orphan that is listed only after the next attempt has begun, which that one removes', async () => {
      const one = target();
      google.fake().server.fail({ kind: 'lost' }, isUpload);
      await refusalOf(async () => provider.issue(one, TOKEN, context()));
      google
        .fake()
        .server.fail(
          { kind: 'reply', status: 200, body: {} },
          ({ method, path }) => method === 'GET' && path.endsWith('/keys'),
        );
      const later = context({}, { clock: () => NOW + 5000 });
      const { handle, material } = await provider.issue(one, TOKEN, later);
      expect(await provider.list?.(one, later)).toEqual([handle]);
      expect(await google.takes(material.reveal().apiKey, one)).toBe(true);
    });

    it('no key whose certificate Google does not keep: it could not be found again', async () => {
      const one = target();
      google.fake().keeps = false;
      const error = await refusalOf(async () => provider.issue(one, TOKEN, context()));
      expect(error).toMatchObject({ code: 'ERR_REJECTED', field: 'target' });
      expect(google.fake().keys.of(one.serviceAccount)).toEqual([]);
    });

    it('no eleventh key, and none deleted for it', async () => {
      const one = target();
      google.fake().keys.room = CAPABILITIES['cloud-key/gcp-service-account'].maxKeys;
      for (let count = 0; count < 10; count++) google.fake().add(one.serviceAccount, 'made by hand');
      const error = await refusalOf(async () => provider.issue(one, TOKEN, context()));
      expect(error).toMatchObject({ code: 'ERR_CAPACITY', field: 'target' });
      expect(google.fake().keys.of(one.serviceAccount)).toHaveLength(10);
      google.fake().keys.room = Infinity;
    });

    it('a new key that counts only once it was taken three times in a row', async () => {
      const one = target();
      const issued = await provider.issue(one, TOKEN, context());
      let tests = 0;
      google.fake().server.fail({ kind: 'reset' }, (asked) => {
        if (google.isTest(asked)) tests++;
        return false;
      });
      const refused = { kind: 'reply', status: 400, body: { error: 'invalid_grant' } } as const;
      google.fake().server.fail(refused, (asked) => google.isTest(asked) && tests === 3);
      await provider.activate?.(one, TOKEN, issued, context());
      expect(tests).toBe(6);
    });

    it('no secret whose private key is none, told without a word of it', async () => {
      const one = target();
      const broken = provider.material(new Redacted('{"private_key":"sk-canary"}'));
      const error = await refusalOf(async () => provider.verify(one, broken, context()));
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'secret' });
      expect(JSON.stringify(error)).not.toContain('canary');
    });

    it.for([
      ['type', 'authorized_user'],
      ['client_email', 'nobody@shop.iam.gserviceaccount.com'],
      ['project_id', 'another'],
    ])('no secret with another %s', async ([field, value]) => {
      const one = target();
      const { material, handle } = await provider.issue(one, TOKEN, context());
      const fields = JSON.parse(provider.serialize(material).reveal()) as object;
      const other = provider.material(new Redacted(JSON.stringify({ ...fields, [field ?? '']: value })));
      const error = await refusalOf(() => provider.assertBelongs(one, handle, other));
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field });
    });

    it('no login elsewhere than the administrative secret says, and none at a private address', async () => {
      const usual = await refusalOf(async () =>
        provider.preflight(target(), context({ baseUrl: undefined })),
      );
      expect(usual).toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
      const token = await refusalOf(async () =>
        provider.preflight(target(), context({ token_uri: 'https://169.254.169.254/token' })),
      );
      expect(token).toMatchObject({ code: 'ERR_DECLARATION', field: 'admin.token_uri' });
      expect(google.fake().server.asked).toEqual([]);
    });

    it.for([
      [{ serviceAccount: 'agents' }, 'target.serviceAccount'],
      [{ project: '../other' }, 'target.project'],
      [{ tokenUri: 'https://elsewhere.example' }, 'target.tokenUri'],
    ] as const)('no target with %j', async ([declared, field]) => {
      expect(await refusalOf(() => target(declared))).toMatchObject({ code: 'ERR_DECLARATION', field });
    });

    it('a way by hand for the key of that id', () => {
      const one = target();
      expect(provider.manualRevocation?.(one, { id: 'k1', generation: 1 })).toContain(
        `gcloud iam service-accounts keys delete k1 --iam-account=${one.serviceAccount}`,
      );
    });
  });
});

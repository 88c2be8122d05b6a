import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorityDocument } from '../../../shared/domain/bundle.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { isHeld } from '../../../shared/domain/directory.ts';
import { emptyList, withRevoked } from '../../../shared/domain/revocations.ts';
import { certifyResponder } from '../../../shared/engine/certificates/responders.ts';
import { makeKey } from '../../../shared/http/kms.ts';
import { kmsSigner } from '../../../shared/http/kms-signer.ts';
import { TAG } from '../../../shared/names.ts';
import { certificatesIn } from '../../../shared/providers/x509/authority.ts';
import { leafOf, opensslTakes, x509Case } from '../../contract/cases/x509.ts';
import { leafOf as issuedLeaf } from '../../contract/describe-leaves.ts';
import { describeIdentityFaults } from '../../contract/describe-identity-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness } from '../../contract/identity-harness.ts';
import { FakeKms, type FakeKmsKey } from '../../fakes/kms.ts';
import { openssl, opensslBytes } from '../../support/openssl.ts';

const TOKEN = '00000000-0000-4000-8000-000000000001';
const DAY = 86_400;
const kms = new FakeKms();
const its = x509Case(kms);
const { provider } = its;

describe('certificate authorities', () => {
  describeProvider('Certificate authorities', identityHarness(its));
  describeIdentityFaults('Certificate authorities', its);

  const harness = identityHarness(its);
  beforeAll(async () => harness.start());
  afterAll(async () => harness.stop());

  async function begin(now = Date.now()) {
    const target = await harness.freshTarget();
    const ctx = { ...harness.context(target), clock: () => now };
    harness.served().clock = () => now;
    const issue = async () => provider.issue(target, TOKEN, { ...ctx, generation: 1 });
    const keysOf = (): FakeKmsKey[] =>
      [...kms.keys.values()].filter(({ tags }) => tags[TAG.set] === target.name);
    const url = `${harness.served().url}/bundles/${target.name}`;
    return { target, ctx, issue, keysOf, url };
  }

  it('are told apart by openssl: what one signs is not what another has signed', async () => {
    const [one, other] = [await begin(), await begin()];
    const [mine, theirs] = [await one.issue(), await other.issue()];
    const leaf = await leafOf(kms, mine.material.reveal());
    expect(await opensslTakes(harness.served().url, one.target.name, leaf)).toBe(true);
    expect(await opensslTakes(harness.served().url, other.target.name, leaf)).toBe(false);
    expect(theirs.handle.id).not.toBe(mine.handle.id);
  });

  it('are one bundle with the next one in it, in PEM with a lifetime and a tag; 304 to whoever has it', async () => {
    const { issue, url } = await begin();
    const { handle } = await issue();
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('application/x-pem-file');
    expect(response.headers.get('cache-control')).toBe('public, max-age=300');
    expect(response.headers.get('vary')).toBe('accept');
    const text = await response.text();
    expect(its.shown?.(text)).toHaveLength(2);
    expect(its.shown?.(text)).toContain(handle.id);
    const again = await fetch(url, { headers: { 'if-none-match': response.headers.get('etag') ?? '' } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    for (const certificate of certificatesIn(text)) {
      const said = openssl(['x509', '-in', 'ca.pem', '-noout', '-text'], {
        'ca.pem': certificate.toString(),
      });
      expect(said.output).toContain('CA:TRUE, pathlen:0');
    }
  });

  it('are a bundle as SPIFFE has it to whoever asks for JSON', async () => {
    const { issue, url } = await begin();
    await issue();
    const pem = certificatesIn(await (await fetch(url)).text());
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    const { keys, ...rest } = (await response.json()) as { keys: { use: string; x5c: [string] }[] };
    expect(rest).toEqual({ spiffe_sequence: 1, spiffe_refresh_hint: 300 });
    expect(keys.map(({ use }) => use)).toEqual(['x509-svid', 'x509-svid']);
    const certificates = keys.map(({ x5c }) => new X509Certificate(Buffer.from(x5c[0], 'base64')));
    expect(certificates.map(String)).toEqual(pem.map(String));
  });

  it('carry the tags of their deployment and set, and nobody gets a private key', async () => {
    const { issue, keysOf, target, url } = await begin();
    const { material } = await issue();
    expect(keysOf()[0]?.tags).toEqual({
      [TAG.type]: 'certificate-authority',
      [TAG.stage]: 'test',
      [TAG.set]: target.name,
    });
    expect(Object.keys(material.reveal()).sort()).toEqual(['certificate', 'keyArn', 'set', 'trustDomain']);
    const shown = await fetch(url, { headers: { accept: 'application/json' } });
    expect(await shown.text()).not.toMatch(/arn:aws:kms|"d"/);
  });

  it('sign nothing any more once they are ended, and are in no bundle', async () => {
    const { issue, keysOf, target, ctx, url } = await begin();
    const { handle, material } = await issue();
    for (let twice = 0; twice < 2; twice++)
      await provider.revoke(target, handle, { endSessions: true, compromised: true }, ctx);
    await expect(leafOf(kms, material.reveal())).rejects.toMatchObject({ code: 'ERR_REJECTED' });
    expect(keysOf().map(({ state }) => state)).toEqual(['PendingDeletion', 'Enabled']);
    expect(its.shown?.(await (await fetch(url)).text())).not.toContain(handle.id);
  });

  it('leave no key behind where two take at once, or where one can not be certified', async () => {
    const { issue, keysOf } = await begin();
    await Promise.all([issue(), issue()]);
    expect(keysOf().filter(({ state }) => state === 'Enabled')).toHaveLength(2);
    const other = await begin();
    kms.denied.add('Sign');
    await expect(other.issue()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    kms.denied.clear();
    expect(other.keysOf().map(({ state }) => state)).toEqual(['PendingDeletion']);
  });

  it.each([
    [undefined, /^http:\/\/127.0.0.1:\d+/],
    ['http://status.example.com/', /^http:\/\/status.example.com/],
  ])('say where revocations are told: at %s', async (statusUrl, address) => {
    const { target, ctx } = await begin();
    const { identities } = ctx.reach;
    if (identities === undefined) throw new Error('there is no directory');
    const about = { spec: 'ECC_NIST_P256', description: 'status', type: 'status', stage: 'test', set: 'a' };
    const statusKey = await makeKey(kms, about);
    const own = { ...identities, statusKey, ...(statusUrl && { statusUrl }) };
    const reach = { ...ctx.reach, identities: own };
    const { handle } = await provider.issue(target, TOKEN, { ...ctx, reach, generation: 1 });
    const set = await identities.directory.read({ kind: 'bundles', name: target.name });
    const { document } = set?.entries.find(({ id }) => id === handle.id) ?? {};
    const { crl = '', ocsp = '' } = authorityDocument.parse(document);
    for (const each of [crl, ocsp]) expect(each).toMatch(address);
    expect([crl, ocsp].map((each) => each.replace(address, ''))).toEqual([
      `/crl/${target.name}/${handle.id}`,
      `/ocsp/${target.name}`,
    ]);
  });

  describe('at OCSP', () => {
    async function answered() {
      const { target, ctx } = await begin();
      const { identities } = ctx.reach;
      if (identities === undefined) throw new Error('there is no directory');
      const about = { spec: 'ECC_NIST_P256', description: 'status', type: 'status', stage: 'test', set: 'a' };
      const statusKey = await makeKey(kms, about);
      let signed = 0;
      const signer = kmsSigner(kms, statusKey);
      harness.served().statusSigner = {
        ...signer,
        sign: async (bytes) => {
          signed++;
          return signer.sign(bytes);
        },
      };
      const own = { ...ctx, reach: { ...ctx.reach, identities: { ...identities, statusKey } } };
      const { handle, material } = await provider.issue(target, TOKEN, { ...own, generation: 1 });
      const leaf = await leafOf(kms, material.reveal());
      const serial = new X509Certificate(leaf).serialNumber.toLowerCase();
      const files = { 'ca.pem': material.reveal().certificate, 'leaf.pem': leaf };
      const asks = ['ocsp', '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce'];
      const body = opensslBytes([...asks, '-reqout', 'out'], files);
      const post = async () =>
        fetch(`${harness.served().url}/ocsp/${target.name}`, {
          method: 'POST',
          headers: { 'content-type': 'application/ocsp-request' },
          body: Buffer.from(body),
        });
      const get = async (path: string) => fetch(`${harness.served().url}/ocsp/${target.name}/${path}`);
      const told = async (asking = post): Promise<string> => {
        const answer = new Uint8Array(await (await asking()).arrayBuffer());
        const judges = [...asks, '-CAfile', 'ca.pem', '-respin', 'answer.der'];
        return openssl(judges, { ...files, 'answer.der': answer }).output;
      };
      const record = () =>
        harness.served().leaves.set(`${target.name}#${handle.id}#${serial}`, issuedLeaf({ serial }));
      const revoke = async () =>
        provider.revoke(target, handle, { endSessions: true, compromised: true }, own);
      /** Another key tells from now on, as after a stack was made anew. */
      const replaceKey = async () => {
        const other = kmsSigner(kms, await makeKey(kms, about));
        harness.served().statusSigner = other;
        const set = await identities.directory.read({ kind: 'bundles', name: target.name });
        if (set === undefined) throw new Error('there is no set');
        const deps = {
          revocations: harness.served().revocations,
          signer: (keyArn: string) => kmsSigner(kms, keyArn),
          statusKey: other,
          clock: ctx.clock,
        };
        return async () => Promise.all(set.entries.map(async (entry) => certifyResponder(deps, set, entry)));
      };
      return {
        told,
        record,
        revoke,
        post,
        get,
        body,
        serial,
        target,
        handle,
        replaceKey,
        signatures: () => signed,
      };
    }

    it('what was issued is good, and revoked from the moment at which its authority is, whose key is gone', async () => {
      const { told, record, revoke } = await answered();
      record();
      expect(await told()).toMatch(
        /Response verify OK[^]*leaf.pem: good|leaf.pem: good[^]*Response verify OK/,
      );
      await revoke();
      const after = await told();
      expect(after).toContain('Response verify OK');
      expect(after).toContain('leaf.pem: revoked');
    });

    it('what is revoked before its end is told as such', async () => {
      const { told, record, serial, target, handle } = await answered();
      record();
      const at = toInstant(Date.now());
      const list = withRevoked(emptyList(target.name, handle.id), { serial, revokedAt: at, notAfter: at });
      await harness.served().revocations.write(list);
      const after = await told();
      expect(after).toContain('Response verify OK');
      expect(after).toContain('leaf.pem: revoked');
    });

    it.each([
      ['as it is', (text: string) => text],
      ['escaped', encodeURIComponent],
    ])('who staples asks by GET, with the request in the path, %s', async (_how, written) => {
      const { told, record, get, body } = await answered();
      record();
      const path = written(Buffer.from(body).toString('base64'));
      expect(await told(async () => get(path))).toMatch(/leaf.pem: good/);
      expect((await get(written('x'.repeat(2000)))).status).toBe(404);
      expect((await get('please')).status).toBe(400);
    });

    it('where another key tells, nothing is told that nobody would take, until the authorities have certified it', async () => {
      const { told, record, replaceKey } = await answered();
      record();
      const certify = await replaceKey();
      expect(await told()).toContain('trylater');
      expect(await certify()).toEqual([true, true]);
      expect(await told()).toMatch(/leaf.pem: good/);
      expect(await told()).toContain('Response verify OK');
      expect(await certify()).toEqual([false, false]);
    });

    it('nothing is told, and nothing signed, of what was never issued', async () => {
      const { told, signatures } = await answered();
      expect(await told()).toContain('unauthorized');
      expect(signatures()).toBe(0);
    });

    it('who asks again and again makes no further signature', async () => {
      const { post, record, signatures } = await answered();
      record();
      for (let count = 0; count < 20; count++) {
        const response = await post();
        expect(response.headers.get('content-type')).toBe('application/ocsp-response');
        expect(response.headers.get('cache-control')).toBe('max-age=300');
      }
      expect(signatures()).toBe(1);
    });

    it('a request that is none is refused', async () => {
      const { target } = await begin();
      await provider.issue(target, TOKEN, { ...harness.context(target), generation: 1 });
      const url = `${harness.served().url}/ocsp/${target.name}`;
      expect((await fetch(url, { method: 'POST', body: 'please' })).status).toBe(400);
      expect((await fetch(url, { method: 'POST', body: 'x'.repeat(5000) })).status).toBe(413);
      expect((await fetch(`${url}-unknown`, { method: 'POST', body: 'please' })).status).toBe(404);
    });
  });

  it.each(['CreateKey', 'GetPublicKey', 'Sign', 'DisableKey'])(
    'stop and page where the role lacks %s',
    async (operation) => {
      const { issue, target, ctx } = await begin();
      const { handle, material } = await issue();
      const next = { ...ctx, clock: () => Date.now() + 3_600_000, generation: 2, current: handle };
      const steps: Readonly<Record<string, () => Promise<unknown>>> = {
        Sign: async () => provider.verify(target, material, ctx),
        DisableKey: async () => provider.revoke(target, handle, { endSessions: true }, ctx),
      };
      kms.denied.add(operation);
      try {
        const step = steps[operation] ?? (async () => provider.issue(target, 'another', next));
        await expect(step()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
      } finally {
        kms.denied.clear();
      }
    },
  );

  it.each([
    ['is down', { status: 503 }],
    ['has no bundle', { status: 404 }],
    ['is too slow', { delayMs: 5500 }],
  ])('where the directory %s: are tried again, and not taken for verified', async (_name, trouble) => {
    const { issue, target, ctx } = await begin();
    const { material } = await issue();
    harness.served().trouble = trouble;
    const failure = provider.verify(target, material, ctx);
    await expect(failure).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
    harness.served().trouble = undefined;
    await provider.verify(target, material, ctx);
  });

  it('end by themselves: what has ended or does not count yet is refused', async () => {
    const now = Date.now();
    const { issue, target, ctx } = await begin(now);
    const { material } = await issue();
    const at = async (time: number) => provider.verify(target, material, { ...ctx, clock: () => time });
    await at(now - target.clockSkewSeconds * 1000);
    await expect(at(now - (target.clockSkewSeconds + 2) * 1000)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
    await at(now + (target.caSeconds - 2) * 1000);
    await expect(at(now + target.caSeconds * 1000)).rejects.toMatchObject({ code: 'ERR_REJECTED' });
  });

  it('that come next and would end too soon make way for another, which verifiers get to know first', async () => {
    const start = Date.now();
    const { issue, target, ctx, keysOf } = await begin(start);
    const { handle } = await issue();
    const stale = keysOf()[1]?.arn;
    // Nothing has rotated until a leaf of the next one would outlive it.
    let now = start + (target.caSeconds - DAY) * 1000;
    const next = { ...ctx, clock: () => now, generation: 2, current: handle };
    const rotate = async () => provider.issue(target, 'another', next);
    await expect(rotate()).rejects.toMatchObject({ code: 'ERR_NOT_PROPAGATED' });
    expect(keysOf().map(({ state }) => state)).toEqual(['Enabled', 'PendingDeletion', 'Enabled']);
    now += (target.cacheSeconds + target.clockSkewSeconds) * 1000;
    const { material } = await rotate();
    expect(material.reveal().keyArn).not.toBe(stale);
    const set = harness.served().directory.sets.get(`bundles/${target.name}`);
    expect(set?.entries.filter(isHeld)).toHaveLength(2);
    expect(set?.entries.filter(({ state }) => state === 'next')).toHaveLength(1);
  });

  it('are told of by rekey doctor in the last 14 days of their life, where nothing has rotated them', async () => {
    const start = Date.now();
    const { issue, target, ctx } = await begin(start);
    const at = async (days: number) =>
      provider.preflight(target, { ...ctx, clock: () => start + days * DAY * 1000 });
    expect(await at(0)).toEqual([]);
    await issue();
    expect(await at(85)).toEqual([]);
    expect(await at(87)).toEqual([expect.objectContaining({ field: 'target.caSeconds' })]);
  });

  it('ask for a soak of the longest leaf, the skew and the cache, and to rotate three times in a life', () => {
    const target = provider.target({
      name: 'a',
      trustDomain: 'a.example',
      leafSeconds: 3600,
      cacheSeconds: 100,
    });
    const soakSeconds = 3600 + 300 + 100;
    expect(provider.demands?.(target)).toMatchObject({ soakSeconds, maxIntervalSeconds: 30 * DAY });
    const short = { ...target, caSeconds: 7 * DAY };
    expect(provider.demands?.(short)).toMatchObject({
      maxIntervalSeconds: Math.floor((7 * DAY - soakSeconds) / 3),
    });
  });

  it.each([
    [{ trustDomain: 'Shop Example' }, 'trustDomain'],
    [{ leafSeconds: 172_801 }, 'leafSeconds'],
    [{ caSeconds: DAY }, 'caSeconds'],
  ])('refuse %o', (wrong, field) => {
    const declared = { name: 'a', trustDomain: 'a.example', ...wrong };
    expect(() => provider.target(declared)).toThrow(
      expect.objectContaining({ code: 'ERR_DECLARATION', field: `target.${field}` }),
    );
  });
});

import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { validityOf } from '../../../shared/domain/certificate.ts';
import { agentId } from '../../../shared/domain/spiffe.ts';
import {
  authorityOf,
  caCertificate,
  leafCertificate,
  newSerial,
  type LeafTerms,
} from '../../../shared/x509/certificates.ts';
import { parseRequest } from '../../../shared/x509/request.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';

const DAY = 86_400;
const ID = agentId('agents.shop.example', 'order-agents', 'i-0abc');
const lasting = (lifeSeconds: number, now = Date.now()) => validityOf({ now, lifeSeconds, skewSeconds: 300 });

async function authority(lifeSeconds = 30 * DAY) {
  const signer = localSigner();
  const terms = { trustDomain: 'agents.shop.example', serial: newSerial(), ...lasting(lifeSeconds) };
  const pem = await caCertificate(signer, terms);
  return { signer, pem, terms, of: authorityOf(pem) };
}

async function leaf(given: Partial<LeafTerms> = {}, by?: Awaited<ReturnType<typeof authority>>) {
  const { signer, of, pem: ca } = by ?? (await authority());
  const { publicKey } = generateKeyPairSync('ed25519');
  const terms = { id: ID, publicKey, serial: newSerial(), ...lasting(DAY), ...given };
  const pem = await leafCertificate(signer, of, terms);
  return { pem, ca, terms, read: new X509Certificate(pem) };
}

/** What a verifier says of a leaf, strictly, as a server or a client of TLS would ask. */
function verified(ca: string, pem: string, ...more: string[]) {
  const args = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.pem', ...more, 'leaf.pem'];
  return openssl(args, { 'ca.pem': ca, 'leaf.pem': pem });
}

describe('certificates of a trust domain', () => {
  it('are a chain that openssl takes for both ends of TLS', async () => {
    const { ca, pem } = await leaf();
    for (const purpose of ['sslclient', 'sslserver']) {
      expect(verified(ca, pem, '-purpose', purpose)).toEqual({ ok: true, output: 'leaf.pem: OK\n' });
    }
  });

  it.each(Object.entries(KEY_KINDS))(
    'carry a %s key of a request that openssl has made',
    async (_kind, kind) => {
      const { publicKey } = parseRequest(opensslRequest(kind).csr);
      const { ca, pem, read } = await leaf({ publicKey });
      expect(verified(ca, pem, '-purpose', 'sslserver').ok).toBe(true);
      expect(read.publicKey.equals(publicKey)).toBe(true);
    },
  );

  it('name an authority that signs leaves and lists, and no further authority', async () => {
    const { pem, terms, of } = await authority();
    const { output } = openssl(['x509', '-in', 'ca.pem', '-noout', '-text'], { 'ca.pem': pem });
    expect(output).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/);
    expect(output).toMatch(/Key Usage: critical\s+Digital Signature, Certificate Sign, CRL Sign\n/);
    expect(output).toMatch(/Subject Alternative Name: *\n\s+URI:spiffe:\/\/agents\.shop\.example\n/);
    expect(output).toContain('Signature Algorithm: ecdsa-with-SHA256');
    expect(
      openssl(['verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.pem', 'ca.pem'], { 'ca.pem': pem })
        .ok,
    ).toBe(true);
    const read = new X509Certificate(pem);
    expect(read.ca).toBe(true);
    expect(read.serialNumber.toLowerCase()).toBe(terms.serial);
    expect(Date.parse(of.notAfter)).toBe(read.validToDate.getTime());
  });

  it('say of a leaf its SPIFFE id, where its revocation is told, and no host', async () => {
    const where = {
      crl: 'https://directory.example/crl/shop',
      ocsp: 'https://directory.example/ocsp/shop',
    };
    const { pem, read, terms } = await leaf(where);
    const { output } = openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], { 'leaf.pem': pem });
    expect(read.subjectAltName).toBe(`URI:${ID}`);
    expect(ID).toBe('spiffe://agents.shop.example/agent/order-agents/i-0abc');
    expect(read.subject).toBe('O=Rekey');
    expect(read.checkHost('order-agents')).toBeUndefined();
    expect(output).toMatch(/Basic Constraints: critical\s+CA:FALSE\n/);
    expect(output).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(output).toMatch(
      /Extended Key Usage: *\n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/,
    );
    expect(output).toContain(`URI:${where.crl}\n`);
    expect(output).toContain(`OCSP - URI:${where.ocsp}\n`);
    expect(read.serialNumber.toLowerCase()).toBe(terms.serial);
    expect(toSeconds(read.validFromDate)).toBe(toSeconds(new Date(terms.notBefore)));
    expect(toSeconds(read.validToDate)).toBe(toSeconds(new Date(terms.notAfter)));
  });

  it('are told apart by their authority: a leaf of one is refused by another of the same trust domain', async () => {
    const [one, other] = [await authority(), await authority()];
    const { pem } = await leaf({}, one);
    expect(verified(other.pem, pem).ok).toBe(false);
    // Side by side in a bundle either is found.
    for (const bundle of [one.pem + other.pem, other.pem + one.pem])
      expect(verified(bundle, pem).ok).toBe(true);
  });

  it('are in force for clocks that are behind by the skew, and over at their end', async () => {
    const now = Date.parse('2049-12-31T23:00:00.250Z');
    const ca = await authority(60 * DAY * 365);
    const { pem } = await leaf(lasting(2 * 3600, now), ca);
    const at = (ms: number) => verified(ca.pem, pem, '-attime', String(Math.floor(ms / 1000))).ok;
    expect([at(now - 299_000), at(now), at(now + 7_199_000)]).toEqual([true, true, true]);
    expect([at(now - 302_000), at(now + 7_201_000)]).toEqual([false, false]);
  });

  it('never leave with a signature that is not of their authority', async () => {
    const { of } = await authority();
    const { publicKey } = generateKeyPairSync('ed25519');
    const made = leafCertificate(localSigner(), of, {
      id: ID,
      publicKey,
      serial: newSerial(),
      ...lasting(DAY),
    });
    await expect(made).rejects.toMatchObject({ code: 'ERR_REJECTED' });
  });

  it('have serial numbers that are positive, of one length, and different', () => {
    const serials = Array.from({ length: 200 }, newSerial);
    expect(new Set(serials).size).toBe(200);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });

  it('make no authority of a leaf, nor of what is no certificate', async () => {
    const { pem } = await leaf();
    expect(() => authorityOf(pem)).toThrow(expect.objectContaining({ code: 'ERR_REJECTED' }));
    expect(() => authorityOf('nothing')).toThrow(expect.objectContaining({ code: 'ERR_REJECTED' }));
  });
});

describe('the validity of a certificate', () => {
  it('ends with its authority, and is not begun after that', () => {
    const now = Date.parse('2026-11-26T08:00:00Z');
    const terms = { now, lifeSeconds: DAY, skewSeconds: 300 };
    expect(validityOf({ ...terms, issuerEndsAt: '2026-11-26T12:00:00.000Z' }).notAfter).toBe(
      '2026-11-26T12:00:00.000Z',
    );
    expect(() => validityOf({ ...terms, issuerEndsAt: '2026-11-26T08:00:00.000Z' })).toThrow(
      expect.objectContaining({ code: 'ERR_UNAVAILABLE' }),
    );
  });
});

function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

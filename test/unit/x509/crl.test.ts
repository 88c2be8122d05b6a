import { once } from 'node:events';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { emptyList, MAX_REVOKED, nextList, type Revocation } from '../../../shared/domain/revocations.ts';
import { pemOf } from '../../../shared/x509/pem.ts';
import { authorityOf, caCertificate, leafCertificate, newSerial } from '../../../shared/x509/certificates.ts';
import { revocationList } from '../../../shared/x509/crl.ts';
import { openssl } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';

const NOW = Date.now();
const validity = { notBefore: toInstant(NOW - 300_000), notAfter: toInstant(NOW + 86_400_000) };
const CRL = 'http://status.example/crl/shop/ca';

interface Identity {
  readonly pem: string;
  readonly key: string;
}

/** An authority that makes lists, and two leaves of it. */
async function begin() {
  const signer = localSigner();
  const ca = await caCertificate(signer, { trustDomain: 'shop.example', serial: newSerial(), ...validity });
  const authority = authorityOf(ca);
  const leaf = async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const serial = newSerial();
    const terms = { id: 'spiffe://shop.example/agent/a', publicKey, serial, crl: CRL, ...validity };
    const pem = await leafCertificate(signer, authority, terms);
    return { serial, pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  };
  const listed = async (...serials: string[]): Promise<Uint8Array> =>
    revocationList(
      signer,
      authority,
      nextList({ ...emptyList('shop', 'ca'), revoked: serials.map(revoked) }, NOW, 300),
    );
  return { signer, ca, authority, leaf, listed };
}

function revoked(serial: string): Revocation {
  return { serial, revokedAt: toInstant(NOW), notAfter: validity.notAfter };
}

describe('the list of what an authority has revoked', () => {
  it('is one of version 2 for openssl, with its number, its key and its time, signed by the authority', async () => {
    const { ca, leaf, listed } = await begin();
    const { serial } = await leaf();
    const files = { 'ca.pem': ca, 'crl.der': await listed(serial) };
    const asked = [
      'crl',
      '-in',
      'crl.der',
      '-inform',
      'DER',
      '-CAfile',
      'ca.pem',
      '-noout',
      '-text',
      '-verify',
    ];
    const { ok, output } = openssl(asked, files);
    expect([ok, output.includes('verify OK')]).toEqual([true, true]);
    expect(output).toContain('Version 2 (0x1)');
    expect(output).toMatch(/X509v3 CRL Number: \n\s+1\n/);
    expect(output).toMatch(/X509v3 Authority Key Identifier: \n\s+[0-9A-F:]{59}\n/);
    expect(output).toContain(`Serial Number: ${serial.toUpperCase()}`);
    const [last, next] = ['Last', 'Next'].map((each) =>
      Date.parse(new RegExp(`${each} Update: (.+)`).exec(output)?.[1] ?? ''),
    );
    expect([(last ?? 0) <= NOW - 300_000, (next ?? 0) - NOW]).toEqual([
      true,
      expect.closeTo(26 * 3_600_000, -4),
    ]);
  });

  it('refuses the certificate that is on it, and no other, for openssl', async () => {
    const { ca, leaf, listed } = await begin();
    const [gone, kept] = [await leaf(), await leaf()];
    const judged = (pem: string, list: Uint8Array) =>
      openssl(['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'leaf.pem'], {
        'ca.pem': ca,
        'crl.pem': pemOf('X509 CRL', list),
        'leaf.pem': pem,
      });
    expect(judged(gone.pem, await listed())).toMatchObject({ ok: true });
    const list = await listed(gone.serial);
    expect(judged(kept.pem, list)).toMatchObject({ ok: true });
    expect(judged(gone.pem, list).output).toContain('certificate revoked');
    const text = openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], { 'leaf.pem': kept.pem });
    expect(text.output).toContain(`URI:${CRL}`);
  });

  it("is kept by Node's TLS: who is on it gets no connection", async () => {
    const { ca, leaf, listed } = await begin();
    const [one, gone, other] = [await leaf(), await leaf(), await leaf()];
    const crl = pemOf('X509 CRL', await listed(gone.serial));
    const greeted = async (server: Identity, client: Identity): Promise<string> => {
      const options = { ca, crl, cert: server.pem, key: server.key, requestCert: true };
      const listening = createServer(options, (socket) => socket.on('error', () => undefined).end('hello'));
      await once(listening.listen(0, '127.0.0.1'), 'listening');
      const { port } = listening.address() as AddressInfo;
      const own = { ca, crl, cert: client.pem, key: client.key };
      const socket = connect({ port, host: '127.0.0.1', ...own, checkServerIdentity: () => undefined });
      let said = '';
      try {
        for await (const chunk of socket) said += String(chunk);
      } catch (error) {
        said = (error as { code?: string }).code ?? '';
      }
      socket.destroy();
      listening.close();
      return said;
    };
    expect(await greeted(one, other)).toBe('hello');
    expect(await greeted(gone, other)).toBe('CERT_REVOKED');
    // A server tells nobody why.
    expect(await greeted(one, gone)).toBe('');
  });

  it('goes nowhere where another key has signed it', async () => {
    const { authority } = await begin();
    const terms = nextList(emptyList('shop', 'ca'), NOW, 300);
    await expect(revocationList(localSigner(), authority, terms)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
  });

  it('stays below 50 KB where it is as long as may be', async () => {
    const { listed } = await begin();
    const list = await listed(...Array.from({ length: MAX_REVOKED }, () => newSerial()));
    expect(list.length).toBeLessThan(50_000);
  });
});

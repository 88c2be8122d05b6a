import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import {
  authorityOf,
  caCertificate,
  leafCertificate,
  newSerial,
  responderCertificate,
} from '../../../shared/x509/certificates.ts';
import { laterAnswer, parseStatusRequest, statusAnswer, unknownAnswer } from '../../../shared/x509/ocsp.ts';
import { opensslBytes, openssl } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';

const NOW = Date.now();
const validity = { notBefore: toInstant(NOW - 300_000), notAfter: toInstant(NOW + 86_400_000) };
const fresh = { thisUpdate: toInstant(NOW - 60_000), nextUpdate: toInstant(NOW + 300_000) };

/** An authority, a leaf of it, and whoever answers for it. */
async function begin() {
  const signer = localSigner();
  const pem = await caCertificate(signer, { trustDomain: 'shop.example', serial: newSerial(), ...validity });
  const authority = authorityOf(pem);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serial = newSerial();
  const leaf = await leafCertificate(signer, authority, {
    id: 'spiffe://shop.example/agent/a',
    publicKey,
    serial,
    ...validity,
  });
  const status = localSigner();
  const certificate = await responderCertificate(signer, authority, {
    publicKey: await status.publicKey(),
    serial: newSerial(),
    ...validity,
  });
  const files = { 'ca.pem': pem, 'leaf.pem': leaf };
  const request = opensslBytes(
    ['ocsp', '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'out'],
    files,
  );
  const judged = (answer: Uint8Array) =>
    openssl(
      [
        'ocsp',
        '-issuer',
        'ca.pem',
        '-cert',
        'leaf.pem',
        '-CAfile',
        'ca.pem',
        '-no_nonce',
        '-respin',
        'answer.der',
      ],
      { ...files, 'answer.der': answer },
    );
  return { pem, serial, request, judged, signer, status, responder: { signer: status, certificate } };
}

describe('answers about the status of a certificate', () => {
  it('are of the certificate that openssl asks for', async () => {
    const [one, other] = [await begin(), await begin()];
    const asked = parseStatusRequest(one.request);
    expect(asked.serial).toBe(one.serial);
    expect([asked.isOf(one.pem), asked.isOf(other.pem)]).toEqual([true, false]);
  });

  it('are good for openssl, and signed by a key that may tell nothing else', async () => {
    const { request, judged, responder } = await begin();
    const said = judged(await statusAnswer(responder, parseStatusRequest(request), fresh));
    expect(said.output).toContain('Response verify OK');
    expect(said.output).toContain('leaf.pem: good');
    const text = openssl(['x509', '-in', 'r.pem', '-noout', '-text'], { 'r.pem': responder.certificate });
    expect(text.output).toContain('OCSP Signing');
    expect(text.output).toContain('CA:FALSE');
    expect(text.output).toContain('OCSP No Check');
  });

  it('say when it was revoked', async () => {
    const { request, judged, responder } = await begin();
    const revokedAt = toInstant(NOW - 30_000);
    const said = judged(await statusAnswer(responder, parseStatusRequest(request), { ...fresh, revokedAt }));
    expect(said.output).toContain('Response verify OK');
    expect(said.output).toContain('leaf.pem: revoked');
    expect(said.output).toContain('Revocation Time');
  });

  it('are refused from whom another authority has certified', async () => {
    const [one, other] = [await begin(), await begin()];
    const asked = parseStatusRequest(one.request);
    const answered = await statusAnswer(other.responder, asked, fresh);
    expect(one.judged(answered).output).toContain('Response Verify Failure');
  });

  it('are not given where another key signs than was certified', async () => {
    const [one, other] = [await begin(), await begin()];
    const asked = parseStatusRequest(one.request);
    const wrong = { ...one.responder, signer: other.status };
    await expect(statusAnswer(wrong, asked, fresh)).rejects.toMatchObject({ code: 'ERR_REJECTED' });
    expect(one.judged(laterAnswer()).output).toContain('trylater');
  });

  it('end: what is too old is told as such', async () => {
    const { request, judged, responder } = await begin();
    const old = { thisUpdate: toInstant(NOW - 7_200_000), nextUpdate: toInstant(NOW - 3_600_000) };
    expect(judged(await statusAnswer(responder, parseStatusRequest(request), old)).output).toContain(
      'Status times invalid',
    );
  });

  it('of what nobody knows are unsigned, and no leave', async () => {
    const { judged } = await begin();
    expect(judged(unknownAnswer()).output).toContain('unauthorized');
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['garbage', new Uint8Array([0x30, 0x03, 1, 2, 3])],
    ['an answer', unknownAnswer()],
  ])('want one request: not %s', (_name, bytes) => {
    expect(() => parseStatusRequest(bytes)).toThrow(expect.objectContaining({ code: 'ERR_REQUEST' }));
  });
});

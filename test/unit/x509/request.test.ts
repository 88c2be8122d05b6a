import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { describe, expect, it } from 'vitest';
import { validityOf } from '../../../shared/domain/certificate.ts';
import { derOf, distinguishedName, spkiOf } from '../../../shared/x509/asn1.ts';
import { pemOf } from '../../../shared/x509/pem.ts';
import { authorityOf, caCertificate, leafCertificate, newSerial } from '../../../shared/x509/certificates.ts';
import { MAX_REQUEST_LENGTH, parseRequest } from '../../../shared/x509/request.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';

const P256 = KEY_KINDS['P-256'];
const good = opensslRequest(P256);
const goodDer = derIn(good.csr);
const REQUEST = 'CERTIFICATE REQUEST';

function derIn(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
}

/** A request that openssl would not make. */
function made(
  key: KeyObject,
  algorithm: string,
  signature: Uint8Array<ArrayBuffer>,
  signedBy?: KeyObject,
): string {
  const certificationRequestInfo = new CertificationRequestInfo({
    subject: distinguishedName({ O: 'anybody' }),
    subjectPKInfo: spkiOf(key),
  });
  const info = derOf(certificationRequestInfo);
  const proof = signedBy === undefined ? signature : new Uint8Array(sign('sha256', info, signedBy));
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm });
  return pemOf(
    REQUEST,
    derOf(
      new CertificationRequest({ certificationRequestInfo, signatureAlgorithm, signature: proof.buffer }),
    ),
  );
}

function flipped(der: Buffer, at: number): string {
  const copy = Buffer.from(der);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return pemOf(REQUEST, copy);
}

/** The same in the other form of a length, which BER has and DER hasn't. */
function endless(der: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(4), Buffer.from([0, 0])]);
}

function longer(der: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x30, 0x83, 0]), der.subarray(2)]);
}

function nested(depth: number): string {
  let der = Buffer.alloc(0);
  for (let level = 0; level < depth; level++) {
    const { length } = der;
    const head =
      length < 128
        ? [0x30, length]
        : length < 256
          ? [0x30, 0x81, length]
          : [0x30, 0x82, length >> 8, length & 255];
    der = Buffer.concat([Buffer.from(head), der]);
  }
  return pemOf(REQUEST, der);
}

const unsigned = new Uint8Array(randomBytes(70));
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const hugeRsa = createPublicKey({
  key: {
    kty: 'RSA',
    n: Buffer.concat([Buffer.from([0xc1]), randomBytes(1023)]).toString('base64url'),
    e: 'AQAB',
  },
  format: 'jwk',
});
const ECDSA_SHA1 = '1.2.840.10045.4.1';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const RSA_SHA256 = '1.2.840.113549.1.1.11';

/** What is refused, with what its sender is told. */
const REFUSED: Readonly<Record<string, { csr: string; code?: string; says: RegExp; remedy?: RegExp }>> = {
  nothing: { csr: '', says: /not one request in PEM/ },
  'what is not PEM': { csr: 'MIIB', says: /not one request in PEM/ },
  'an empty block': { csr: pemOf(REQUEST, Buffer.alloc(0)), says: /not one request in PEM/ },
  'base64 with something else in it': {
    csr: good.csr.replace(/[A-Z]{2}/, '*!'),
    says: /not one request in PEM/,
  },
  'blanks without end': { csr: ' '.repeat(MAX_REQUEST_LENGTH), says: /not one request in PEM/ },
  'two requests': { csr: good.csr + good.csr, says: /not one request in PEM/ },
  'text behind it': { csr: `${good.csr}and more`, says: /not one request in PEM/ },
  'a certificate': { csr: good.csr.replaceAll(REQUEST, 'CERTIFICATE'), says: /not one request in PEM/ },
  'a label that ends in another': {
    csr: good.csr.replace(`END ${REQUEST}`, `END NEW ${REQUEST}`),
    says: /not one/,
  },
  'its private key beside it': {
    csr: good.csr + good.key,
    says: /private key beside it/,
    remedy: /throw that key away/,
  },
  'more than a request needs': {
    csr: opensslRequest(P256, ['-addext', `nsComment=${'x'.repeat(8000)}`]).csr,
    says: /longer than 8192/,
  },
  'bytes behind its end': {
    csr: pemOf(REQUEST, Buffer.concat([goodDer, Buffer.from([5, 0])])),
    says: /no PKCS#10/,
  },
  'a part of it': { csr: pemOf(REQUEST, goodDer.subarray(0, -9)), says: /no PKCS#10/ },
  'its first byte': { csr: pemOf(REQUEST, goodDer.subarray(0, 1)), says: /no PKCS#10/ },
  'its first two bytes': { csr: pemOf(REQUEST, goodDer.subarray(0, 2)), says: /no PKCS#10/ },
  'a length without end': { csr: pemOf(REQUEST, endless(goodDer)), says: /no PKCS#10/ },
  'a length with a nought before it': { csr: pemOf(REQUEST, longer(goodDer)), says: /no PKCS#10/ },
  'something else in DER': {
    csr: pemOf(REQUEST, Buffer.from([0x30, 0x03, 0x02, 0x01, 0x05])),
    says: /no PKCS#10/,
  },
  'a thousand sequences in each other': { csr: nested(1400), says: /no PKCS#10/ },
  'a signature that was changed': {
    csr: flipped(goodDer, goodDer.length - 1),
    code: 'ERR_PROOF',
    says: /signature/,
  },
  'a subject that was changed': {
    csr: flipped(goodDer, goodDer.indexOf('anybody')),
    code: 'ERR_PROOF',
    says: /signature/,
  },
  "somebody else's key": {
    csr: made(ec('P-256').publicKey, ECDSA_SHA256, unsigned, ec('P-256').privateKey),
    code: 'ERR_PROOF',
    says: /signature/,
  },
  'random bytes for a signature': {
    csr: made(ec('P-256').publicKey, ECDSA_SHA256, unsigned),
    code: 'ERR_PROOF',
    says: /signature/,
  },
  'no signature': {
    csr: made(ec('P-256').publicKey, ECDSA_SHA256, new Uint8Array(0)),
    code: 'ERR_PROOF',
    says: /signature/,
  },
  'a P-521 key': {
    csr: opensslRequest(['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521']).csr,
    says: /curve secp521r1/,
    remedy: /P-256, P-384 or Ed25519/,
  },
  'a key of Bitcoin': {
    csr: opensslRequest(['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1']).csr,
    says: /curve secp256k1/,
  },
  'an Ed448 key': { csr: opensslRequest(['-algorithm', 'ED448']).csr, says: /kind ed448/ },
  'an RSA key of 1,024 bits': {
    csr: opensslRequest(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']).csr,
    says: /1024 bits/,
  },
  'an RSA key that takes long to check': { csr: made(hugeRsa, RSA_SHA256, unsigned), says: /8192 bits/ },
  'an RSA key with the exponent 3': {
    csr: opensslRequest([...KEY_KINDS['RSA-2048'], '-pkeyopt', 'rsa_keygen_pubexp:3']).csr,
    says: /weak exponent/,
  },
  'an RSA key for PSS alone': {
    csr: opensslRequest(['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048']).csr,
    says: /kind rsa-pss/,
  },
  'a signature under SHA-1': {
    csr: opensslRequest(P256, ['-sha1']).csr,
    says: /signed in a way/,
    remedy: /SHA-256/,
  },
  'the algorithm of another kind of key': {
    csr: made(ec('P-256').publicKey, RSA_SHA256, unsigned),
    says: /signed in a way/,
  },
  'an algorithm of SHA-1 by its number': {
    csr: made(ec('P-256').publicKey, ECDSA_SHA1, unsigned),
    says: /signed in a way/,
  },
};

describe('a request for a certificate', () => {
  it.each(Object.entries(REFUSED))(
    'is refused for %s, and says so',
    (_what, { csr, code = 'ERR_REQUEST', says, remedy }) => {
      expect(() => parseRequest(csr)).toThrow(
        expect.objectContaining({
          code,
          field: 'csr',
          message: expect.stringMatching(says),
          remedy: expect.stringMatching(remedy ?? /./),
        }),
      );
    },
  );

  it('is taken as openssl writes it, with or without NEW, blanks around it and Windows line ends', () => {
    const { fingerprint } = parseRequest(good.csr);
    const spki = createPublicKey(good.key).export({ type: 'spki', format: 'der' });
    expect(openssl(['dgst', '-sha256', '-r', 'key'], { key: spki }).output).toContain(fingerprint);
    for (const pem of [
      good.csr.replaceAll(REQUEST, `NEW ${REQUEST}`),
      `\n ${good.csr} \n`,
      good.csr.replaceAll('\n', '\r\n'),
    ]) {
      expect(parseRequest(pem).fingerprint).toBe(fingerprint);
    }
  });

  it.each([
    ['its point is short', ['-ec_conv_form', 'compressed']],
    ['its curve is spelt out', ['-ec_param_enc', 'explicit']],
  ])('gives the same key where %s', (_how, form) => {
    const args = ['pkey', '-in', 'key.pem', ...form];
    const key = openssl(args, { 'key.pem': good.key }).output;
    const { output } = openssl(['req', '-new', '-key', 'key.pem', '-subj', '/CN=x'], { 'key.pem': key });
    expect(derIn(output).length).not.toBe(goodDer.length);
    expect(parseRequest(output).fingerprint).toBe(parseRequest(good.csr).fingerprint);
  });

  it('gets nothing that it asks for: no name, no authority, no other use', async () => {
    const wishes = [
      'subjectAltName=URI:spiffe://agents.shop.example/agent/admin,DNS:bank.example',
      'basicConstraints=critical,CA:TRUE',
      'keyUsage=keyCertSign',
    ];
    const { csr } = opensslRequest(
      P256,
      wishes.flatMap((wish) => ['-addext', wish]),
    );
    const signer = localSigner();
    const validity = validityOf({ now: Date.now(), lifeSeconds: 86_400, skewSeconds: 0 });
    const terms = { trustDomain: 'agents.shop.example', serial: newSerial(), ...validity };
    const ca = authorityOf(await caCertificate(signer, terms));
    const id = 'spiffe://agents.shop.example/agent/order-agents';
    const { publicKey } = parseRequest(csr);
    const pem = await leafCertificate(signer, ca, { id, publicKey, serial: newSerial(), ...validity });
    const read = new X509Certificate(pem);
    expect([read.subjectAltName, read.ca, read.subject]).toEqual([`URI:${id}`, false, 'O=Rekey']);
    expect(openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], { 'leaf.pem': pem }).output).toMatch(
      /Key Usage: critical\s+Digital Signature\n/,
    );
  });

  it('never gives another key, whichever of its bytes is changed', () => {
    const { fingerprint } = parseRequest(good.csr);
    const outcomes = [...goodDer.keys()].map((at) => {
      try {
        return parseRequest(flipped(goodDer, at)).fingerprint;
      } catch (error) {
        expect(error, `byte ${at}`).toMatchObject({
          code: expect.stringMatching(/^ERR_(REQUEST|PROOF)$/),
          field: 'csr',
        });
        return 'refused';
      }
    });
    expect(outcomes.filter((each) => each !== 'refused' && each !== fingerprint)).toEqual([]);
    expect(outcomes.filter((each) => each === 'refused').length).toBeGreaterThan(goodDer.length - 10);
  });
});

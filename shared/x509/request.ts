import {
  createHash,
  createPublicKey,
  sign,
  verify,
  type AsymmetricKeyDetails,
  type KeyObject,
} from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Attributes, CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { derOf, distinguishedName, ecdsaWithSha256, spkiOf } from './asn1.ts';
import { pemOf } from './pem.ts';

/** Longest request that is read, in characters: an RSA key of 4,096 bits with some attributes takes half of it. */
export const MAX_REQUEST_LENGTH = 8192;

/** What a request for a certificate proves: that whoever sends it has the private key. What else it asks for doesn't count. */
export interface ProvenKey {
  readonly publicKey: KeyObject;
  /** SHA-256 of the key (SubjectPublicKeyInfo), in hexadecimal. */
  readonly fingerprint: string;
}

const PEM = /^-----BEGIN ((?:NEW )?CERTIFICATE REQUEST)-----([A-Za-z0-9+/=\s]*)-----END \1-----$/;
const BASE64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The digests that go with a signature's algorithm, by its identifier; null where the algorithm has its own. */
const DIGESTS: Readonly<Record<string, { readonly key: string; readonly digest: string | null }>> = {
  '1.2.840.10045.4.3.2': { key: 'ec', digest: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', digest: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', digest: 'sha512' },
  '1.2.840.113549.1.1.11': { key: 'rsa', digest: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', digest: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', digest: 'sha512' },
  '1.3.101.112': { key: 'ed25519', digest: null },
};

const KEYS = 'make a P-256, P-384 or Ed25519 key, or an RSA key of 2,048 to 4,096 bits';
const CURVES = ['prime256v1', 'secp384r1'];

/**
 * The key of a PKCS#10 request (RFC 2986), once its signature has shown that the private part is there.
 * @throws RekeyError ERR_REQUEST for another form or a weak key, ERR_PROOF for a signature that doesn't hold
 */
export function parseRequest(pem: string): ProvenKey {
  const der = bytesIn(pem);
  const { certificationRequestInfo, certificationRequestInfoRaw, signatureAlgorithm, signature } =
    parsed(der);
  const publicKey = keyIn(derOf(certificationRequestInfo.subjectPKInfo));
  const kind = publicKey.asymmetricKeyType;
  const scheme = DIGESTS[signatureAlgorithm.algorithm];
  if (scheme === undefined || scheme.key !== kind) {
    throw refused(
      'it is signed in a way that is not taken',
      'sign it with its own key, under SHA-256, SHA-384 or SHA-512; an RSA key by PKCS #1 v1.5',
    );
  }
  const content = new Uint8Array(certificationRequestInfoRaw ?? new ArrayBuffer(0));
  if (!verify(scheme.digest, content, publicKey, new Uint8Array(signature))) {
    throw new RekeyError('ERR_PROOF', 'csr: its signature is not of the key that it names', {
      field: 'csr',
      remedy: 'sign the request with the private key of its own public key',
    });
  }
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { publicKey, fingerprint: createHash('sha256').update(spki).digest('hex') };
}

/** A request for a certificate by whoever has the private key, which is on P-256. As PEM. */
export function requestFor(privateKey: KeyObject): string {
  const certificationRequestInfo = new CertificationRequestInfo({
    version: 0,
    subject: distinguishedName({ O: 'Rekey' }),
    subjectPKInfo: spkiOf(createPublicKey(privateKey)),
    attributes: new Attributes(),
  });
  const signature = new Uint8Array(sign('sha256', derOf(certificationRequestInfo), privateKey));
  const request = new CertificationRequest({
    certificationRequestInfo,
    signatureAlgorithm: ecdsaWithSha256(),
    signature: signature.buffer,
  });
  return pemOf('CERTIFICATE REQUEST', derOf(request));
}

function bytesIn(pem: string): Buffer {
  if (pem.includes('PRIVATE KEY')) {
    throw refused(
      'it has a private key beside it',
      'throw that key away and make another one: a private key stays where it was made',
    );
  }
  if (pem.length > MAX_REQUEST_LENGTH) {
    throw refused(
      `it is longer than ${MAX_REQUEST_LENGTH} characters`,
      'leave out its attributes: none of them counts',
    );
  }
  const text = PEM.exec(pem.trim())?.[2]?.replace(/\s/g, '') ?? '';
  if (!BASE64.test(text)) {
    throw refused(
      'it is not one request in PEM',
      'send a PKCS#10 request: -----BEGIN CERTIFICATE REQUEST----- …, and nothing beside it',
    );
  }
  return Buffer.from(text, 'base64');
}

function parsed(der: Buffer): CertificationRequest {
  assertWhole(der);
  try {
    return AsnConvert.parse(der, CertificationRequest);
  } catch (cause) {
    throw malformed(cause);
  }
}

/** One sequence, of a length that is written in the one way of DER, and nothing behind it. */
function assertWhole(der: Buffer): void {
  const [tag, first = 0] = der;
  const more = first < 0x80 ? 0 : first & 0x7f;
  const length = more === 0 ? first : Number.parseInt(der.subarray(2, 2 + more).toString('hex'), 16);
  const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : 2;
  if (tag !== 0x30 || more !== shortest || der.length !== 2 + more + length) throw malformed();
}

/** A key that is strong enough, in its one plain form whatever form it was sent in: named curve, point in full. */
function keyIn(spki: Uint8Array): KeyObject {
  try {
    const sent = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    assertStrong(sent);
    return createPublicKey({ key: sent.export({ format: 'jwk' }), format: 'jwk' });
  } catch (cause) {
    if (isRekeyError(cause)) throw cause;
    throw refused("its public key can't be read", KEYS, cause);
  }
}

function assertStrong(key: KeyObject): void {
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details = {} } = key;
  if (kind === 'ed25519') return;
  if (kind === 'ec') return assertCurve(details.namedCurve);
  if (kind === 'rsa') return assertRsa(details);
  throw refused(`its key is of the kind ${kind ?? 'unknown'}`, KEYS);
}

function assertCurve(curve = 'without a name'): void {
  if (!CURVES.includes(curve)) throw refused(`its key is on the curve ${curve}`, KEYS);
}

function assertRsa({ modulusLength = 0, publicExponent = 0n }: AsymmetricKeyDetails): void {
  if (modulusLength < 2048 || modulusLength > 4096)
    throw refused(`its RSA key has ${modulusLength} bits`, KEYS);
  if (publicExponent >= 65_537n && publicExponent % 2n === 1n) return;
  throw refused('its RSA key has a weak exponent', 'make an RSA key with the exponent 65,537');
}

function malformed(cause?: unknown): RekeyError {
  return refused('it is no PKCS#10 request in DER', 'make it with a library or with openssl req -new', cause);
}

function refused(what: string, remedy: string, cause?: unknown): RekeyError {
  return new RekeyError('ERR_REQUEST', `csr: ${what}`, {
    field: 'csr',
    remedy,
    ...(cause === undefined ? {} : { cause }),
  });
}

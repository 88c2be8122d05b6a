import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/** Keys that certificates are made for. Every library of TLS knows the first. */
export type KeyKind = 'P-256' | 'Ed25519';

/** A key that was made here, and the request (PKCS#10, RFC 2986) that proves it. The key goes nowhere. */
export interface KeyRequest {
  readonly key: KeyObject;
  readonly csr: string;
}

/** How the signature of each kind is named: ecdsa-with-SHA256 and Ed25519, as DER. */
const SCHEMES: Readonly<Record<KeyKind, { readonly id: string; readonly digest: string | null }>> = {
  'P-256': { id: '06082a8648ce3d040302', digest: 'sha256' },
  Ed25519: { id: '06032b6570', digest: null },
};
const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
/** Version 0, then O=Rekey: who it is for is not for the request to say, and some authorities refuse one without a name. */
const VERSION = Buffer.from('020100', 'hex');
const NAME = Buffer.from('3010310e300c060355040a0c0552656b6579', 'hex');
const NO_ATTRIBUTES = Buffer.from('a000', 'hex');

/** Makes a key and its request. Node has no such thing; of ASN.1 it takes three lines. */
export function requestFor(kind: KeyKind): KeyRequest {
  const { privateKey: key } =
    kind === 'P-256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const { id, digest } = SCHEMES[kind];
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = der(SEQUENCE, VERSION, NAME, spki, NO_ATTRIBUTES);
  const signature = der(BIT_STRING, Buffer.from([0]), sign(digest, info, key));
  const algorithm = der(SEQUENCE, Buffer.from(id, 'hex'));
  return { key, csr: pem(der(SEQUENCE, info, algorithm, signature)) };
}

/** A value with its tag and length. None here is longer than 64 KB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

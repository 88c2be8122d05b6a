import { createHash, type KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509';

/** How every signature of a certificate authority is made: ECDSA over P-256 with SHA-256 (RFC 5758, section 3.2). */
export const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

/** ECDSA over P-256 with SHA-256, as certificates and lists name it: without parameters. */
export function ecdsaWithSha256(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
}

/** A value in DER. */
export function derOf(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(AsnConvert.serialize(value));
}

/** An extension with its value. */
export function extension(extnID: string, value: unknown, { critical = false } = {}): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

const ATTRIBUTES = { O: '2.5.4.10', CN: '2.5.4.3' } as const;

/** A distinguished name of an organization, and of something in it where `CN` is given. */
export function distinguishedName(given: { readonly O: string; readonly CN?: string }): Name {
  return new Name(
    (['O', 'CN'] as const).flatMap((key) => {
      const utf8String = given[key];
      if (utf8String === undefined) return [];
      const value = new AttributeValue({ utf8String });
      return [new RelativeDistinguishedName([new AttributeTypeAndValue({ type: ATTRIBUTES[key], value })])];
    }),
  );
}

/** A public key as SubjectPublicKeyInfo. */
export function spkiOf(key: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
}

/** What names a key in certificates: the first 160 bits of its SHA-256 (RFC 7093, section 2, method 1). */
export function keyIdOf({ subjectPublicKey }: SubjectPublicKeyInfo): Uint8Array<ArrayBuffer> {
  const digest = createHash('sha256').update(new Uint8Array(subjectPublicKey)).digest();
  return new Uint8Array(digest.subarray(0, 20));
}

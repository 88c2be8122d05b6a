import { createPublicKey, randomBytes, X509Certificate, type KeyObject } from 'node:crypto';
import { id_kp_OCSPSigning, id_pkix_ocsp_nocheck } from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AccessDescription,
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  ExtendedKeyUsage,
  Extensions,
  GeneralName,
  id_ad_ocsp,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_cRLDistributionPoints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  id_pe_authorityInfoAccess,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
  TBSCertificate,
  Validity as AsnValidity,
  Version,
  Extension,
  type Name,
} from '@peculiar/asn1-x509';
import type { Validity } from '../domain/certificate.ts';
import { fromInstant, toInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { trustDomainId } from '../domain/spiffe.ts';
import type { Signer } from '../ports/signer.ts';
import { derOf, distinguishedName, ecdsaWithSha256, extension, keyIdOf, spkiOf } from './asn1.ts';
import { pemOf } from './pem.ts';

const ASN1_NULL = new Uint8Array([0x05, 0x00]);

/** A certificate authority, by its certificate: what its signatures are checked with, and how what it signs names it. */
export interface Authority {
  readonly pem: string;
  readonly der: Uint8Array<ArrayBuffer>;
  readonly subject: Name;
  readonly publicKey: KeyObject;
  /** Names its key: SHA-1 sized, as its certificate has it. */
  readonly keyId: Uint8Array<ArrayBuffer>;
  readonly notAfter: Instant;
}

/** What a certificate of an authority says. */
export interface AuthorityTerms extends Validity {
  readonly trustDomain: string;
  readonly serial: string;
}

/** What a leaf says. Nothing of it comes from a request but the key. */
export interface LeafTerms extends Validity {
  /** The SPIFFE id, its only name. */
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly serial: string;
  /** Where its revocation is told. */
  readonly crl?: string;
  readonly ocsp?: string;
}

/** A serial number that nobody foresees, in hexadecimal: 126 random bits, positive, always of 16 bytes (RFC 5280, section 4.1.2.2). */
export function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/**
 * The certificate of an authority, signed by itself: the root of a trust domain, which signs leaves and lists and no further
 * authority. Its name carries its key, so that two of them are never taken for each other. As PEM.
 */
export async function caCertificate(signer: Signer, terms: AuthorityTerms): Promise<string> {
  const { trustDomain, serial } = terms;
  const key = createPublicKey({
    key: Buffer.from(await signer.publicKey()),
    format: 'der',
    type: 'spki',
  });
  const spki = spkiOf(key);
  const keyId = keyIdOf(spki);
  const name = distinguishedName({
    O: 'Rekey',
    CN: `Rekey CA ${Buffer.from(keyId).subarray(0, 8).toString('hex')}`,
  });
  return signed(signer, key, {
    ...tbs(terms, serial, name, name),
    subjectPublicKeyInfo: spki,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), {
        critical: true,
      }),
      keyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature),
      extension(id_ce_subjectKeyIdentifier, new OctetString(keyId)),
      extension(id_ce_subjectAltName, new SubjectAlternativeName([uri(trustDomainId(trustDomain))])),
    ],
  });
}

/**
 * A leaf: a SPIFFE id for a key, good for both ends of TLS. Its subject says nothing that anybody could take for the name of a
 * host. As PEM.
 */
export async function leafCertificate(
  signer: Signer,
  authority: Authority,
  terms: LeafTerms,
): Promise<string> {
  const { id, publicKey, serial, crl, ocsp } = terms;
  const spki = spkiOf(publicKey);
  const issuer = new KeyIdentifier(authority.keyId);
  return signed(signer, authority.publicKey, {
    ...tbs(terms, serial, authority.subject, distinguishedName({ O: 'Rekey' })),
    subjectPublicKeyInfo: spki,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), { critical: true }),
      keyUsage(KeyUsageFlags.digitalSignature),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth, id_kp_clientAuth])),
      extension(id_ce_subjectKeyIdentifier, new OctetString(keyIdOf(spki))),
      extension(id_ce_authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier: issuer })),
      extension(id_ce_subjectAltName, new SubjectAlternativeName([uri(id)])),
      ...(crl === undefined ? [] : [extension(id_ce_cRLDistributionPoints, listAt(crl))]),
      ...(ocsp === undefined ? [] : [extension(id_pe_authorityInfoAccess, answersAt(ocsp))]),
    ],
  });
}

/** What the certificate of whoever answers for an authority says. */
export interface ResponderTerms extends Validity {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  readonly serial: string;
}

/**
 * The certificate of a key that tells which certificates of an authority are revoked, and signs nothing else (RFC 6960, section
 * 4.2.2.2). It outlives the authority's key, so that its end can still be told. As PEM.
 */
export async function responderCertificate(
  signer: Signer,
  authority: Authority,
  terms: ResponderTerms,
): Promise<string> {
  const key = createPublicKey({ key: Buffer.from(terms.publicKey), format: 'der', type: 'spki' });
  const spki = spkiOf(key);
  const name = distinguishedName({ O: 'Rekey', CN: 'Rekey certificate status' });
  const issuer = new KeyIdentifier(authority.keyId);
  return signed(signer, authority.publicKey, {
    ...tbs(terms, terms.serial, authority.subject, name),
    subjectPublicKeyInfo: spki,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), { critical: true }),
      keyUsage(KeyUsageFlags.digitalSignature),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_OCSPSigning]), { critical: true }),
      extension(id_ce_subjectKeyIdentifier, new OctetString(keyIdOf(spki))),
      extension(id_ce_authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier: issuer })),
      // Nobody else could tell whether this one is revoked.
      new Extension({ extnID: id_pkix_ocsp_nocheck, extnValue: new OctetString(ASN1_NULL) }),
    ],
  });
}

/** The authority of a certificate. @throws RekeyError ERR_REJECTED where it is none */
export function authorityOf(pem: string): Authority {
  const read = readCertificate(pem);
  const { tbsCertificate } = AsnConvert.parse(read.raw, Certificate);
  const { subject, subjectPublicKeyInfo } = tbsCertificate;
  if (!read.ca) throw notOfAuthority();
  return {
    pem,
    der: new Uint8Array(read.raw),
    subject,
    publicKey: read.publicKey,
    keyId: keyIdOf(subjectPublicKeyInfo),
    notAfter: toInstant(read.validToDate.getTime()),
  };
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw notOfAuthority(cause);
  }
}

function notOfAuthority(cause?: unknown): RekeyError {
  return new RekeyError('ERR_REJECTED', 'this is not the certificate of a certificate authority', {
    field: 'certificate',
    remedy: 'look at the entry of the bundle (docs/providers/x509.md)',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What every certificate has but its key and its extensions. */
function tbs({ notBefore, notAfter }: Validity, serial: string, issuer: Name, subject: Name) {
  return {
    version: Version.v3,
    serialNumber: new Uint8Array(Buffer.from(serial, 'hex')).buffer,
    signature: ecdsaWithSha256(),
    issuer,
    subject,
    validity: new AsnValidity({
      notBefore: new Date(fromInstant(notBefore)),
      notAfter: new Date(fromInstant(notAfter)),
    }),
  };
}

/**
 * Signs a certificate. What the authority's own key doesn't confirm goes nowhere: the reference led to another key.
 * @throws RekeyError ERR_REJECTED
 */
async function signed(
  signer: Signer,
  issuer: KeyObject,
  { extensions, ...rest }: Omit<Partial<TBSCertificate>, 'extensions'> & { extensions: Extension[] },
): Promise<string> {
  const tbsCertificate = new TBSCertificate({ ...rest, extensions: new Extensions(extensions) });
  const signature = new Uint8Array(await signer.sign(derOf(tbsCertificate)));
  const der = derOf(
    new Certificate({
      tbsCertificate,
      signatureAlgorithm: ecdsaWithSha256(),
      signatureValue: signature.buffer,
    }),
  );
  if (new X509Certificate(der).verify(issuer)) return pemOf('CERTIFICATE', der);
  throw new RekeyError('ERR_REJECTED', "the signature is not of the certificate authority's key", {
    remedy: 'look at the key that the entry of the bundle names (docs/providers/x509.md)',
  });
}

function keyUsage(flags: number): Extension {
  return extension(id_ce_keyUsage, new KeyUsage(flags), { critical: true });
}

function uri(uniformResourceIdentifier: string): GeneralName {
  return new GeneralName({ uniformResourceIdentifier });
}

function listAt(url: string): CRLDistributionPoints {
  const distributionPoint = new DistributionPointName({ fullName: [uri(url)] });
  return new CRLDistributionPoints([new DistributionPoint({ distributionPoint })]);
}

function answersAt(url: string): AuthorityInfoAccessSyntax {
  return new AuthorityInfoAccessSyntax([
    new AccessDescription({ accessMethod: id_ad_ocsp, accessLocation: uri(url) }),
  ]);
}

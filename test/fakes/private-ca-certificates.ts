import 'reflect-metadata';
import { createHash, randomBytes, type webcrypto } from 'node:crypto';
import {
  AuthorityInfoAccessExtension,
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';
import { pemOf } from '../../shared/x509/pem.ts';

/** What signs certificates and lists, made by a library that Rekey doesn't use for them. */
const OF_KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** RFC 5280, section 4.2.1.6. */
const SUBJECT_ALT_NAME = '2.5.29.17';

type Named = Readonly<Record<string, string>>;

/** What IssueCertificate is asked for. */
export interface Issue {
  readonly CertificateAuthorityArn: string;
  readonly Csr: string;
  readonly SigningAlgorithm: string;
  readonly TemplateArn?: string;
  readonly Validity: { readonly Type: string; readonly Value: number };
  readonly ValidityNotBefore?: { readonly Type: string; readonly Value: number };
  readonly IdempotencyToken?: string;
  readonly ApiPassthrough?: {
    readonly Subject?: Named;
    readonly Extensions?: { readonly SubjectAlternativeNames?: readonly Named[] };
  };
}

/** Who signs: its keys, and its own certificate in PEM. */
export interface Issuer {
  readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: string;
  /** By what it tells of revocations, which its certificates name. */
  readonly tells: { readonly crl: boolean; readonly ocsp: boolean };
}

/** A root with a new key, in PEM. */
export async function newRoot(
  name: string,
  notBefore: number,
  notAfter: number,
): Promise<Pick<Issuer, 'keys' | 'certificate'>> {
  const keys = await crypto.subtle.generateKey(OF_KEY, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newNumber(),
    name: [{ O: ['Shop'] }, { CN: [name] }],
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: OF_KEY,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new KeyUsagesExtension(
        KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature,
        true,
      ),
    ],
  });
  return { keys, certificate: certificate.toString('pem') };
}

/**
 * A request, which has to have a name, of one kind or the other, and a key of a kind that AWS knows; undefined where it is none
 * that AWS takes.
 */
export function requestIn(csr: string): Pkcs10CertificateRequest | undefined {
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64').toString());
  } catch {
    return undefined;
  }
  const isNamed = request.subject !== '' || request.getExtension(SUBJECT_ALT_NAME) !== null;
  const isKnown = ['ECDSA', 'RSASSA-PKCS1-v1_5'].includes(request.publicKey.algorithm.name);
  return isNamed && isKnown ? request : undefined;
}

/** By the template EndEntityCertificate_APIPassthrough: the call's name and subject go before the request's. */
export async function certificateOf(
  { keys, certificate, tells }: Issuer,
  request: Pkcs10CertificateRequest,
  { ApiPassthrough = {}, Validity, ValidityNotBefore }: Issue,
  serialNumber: string,
): Promise<string> {
  const { Subject, Extensions } = ApiPassthrough;
  const given = Extensions?.SubjectAlternativeNames?.map((name) => ({
    type: 'url' as const,
    value: name['UniformResourceIdentifier'] ?? '',
  }));
  const names =
    given === undefined ? request.getExtension(SUBJECT_ALT_NAME) : new SubjectAlternativeNameExtension(given);
  const made = await X509CertificateGenerator.create({
    serialNumber,
    subject: Subject === undefined ? request.subjectName : [{ O: [Subject['Organization'] ?? ''] }],
    issuer: new Certificate(certificate).subjectName,
    notBefore: new Date((ValidityNotBefore?.Value ?? 0) * 1000),
    notAfter: new Date(Validity.Value * 1000),
    signingKey: keys.privateKey,
    signingAlgorithm: OF_KEY,
    publicKey: request.publicKey,
    extensions: [
      new BasicConstraintsExtension(false),
      await AuthorityKeyIdentifierExtension.create(keys.publicKey),
      await SubjectKeyIdentifierExtension.create(request.publicKey),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      ...(names === null ? [] : [names]),
      ...(tells.crl ? [new CRLDistributionPointsExtension(['http://lists.example/crl/1.crl'])] : []),
      ...(tells.ocsp ? [new AuthorityInfoAccessExtension({ ocsp: 'http://ocsp.example' })] : []),
    ],
  });
  return made.toString('pem');
}

/** The list of what an authority has revoked, in PEM. */
export async function listOf({ keys, certificate }: Issuer, revoked: readonly string[]): Promise<string> {
  const list = await X509CrlGenerator.create({
    issuer: new Certificate(certificate).subjectName,
    thisUpdate: new Date(Date.now() - 60_000),
    nextUpdate: new Date(Date.now() + 86_400_000),
    entries: revoked.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
    signingKey: keys.privateKey,
    signingAlgorithm: OF_KEY,
  });
  return pemOf('X509 CRL', new Uint8Array(list.rawData));
}

/** A serial number, in hexadecimal. */
export function newNumber(): string {
  return createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 32).replace(/^./, '4');
}

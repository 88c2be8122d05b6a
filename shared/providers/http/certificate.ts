import { createHash, KeyObject, X509Certificate } from 'node:crypto';
import type { Making } from './keys.ts';
import { markIn, nameOf, type Mark } from './mark.ts';

const ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;
/** How RFC 5280 writes that there is no end. */
const NEVER = '9999-12-31T23:59:59Z';
const SUBJECT = /^CN=(?<label>[0-9a-f]{16})\.(?<generation>\d{1,9})\.(?<token>[A-Za-z0-9-]{32,36})$/;

/** A key pair whose public half is wrapped in a certificate; both as PEM. */
export interface WrappedKey {
  readonly privateKey: string;
  readonly certificate: string;
}

/**
 * Makes a key pair, and the certificate in which an upstream takes its public half. The subject is the mark. Everybody may
 * read the certificate, so that of the label it has a digest alone, and no attribute beside. It ends as the policy's interval
 * has it; where that isn't known, never.
 */
export async function wrappedKey(
  name: string,
  { now, endsAt = NEVER }: Pick<Making, 'now' | 'endsAt'>,
): Promise<WrappedKey> {
  // Only who makes a key needs it.
  const { X509CertificateGenerator } = await import('./x509-library.ts');
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [subjectOf(name)] }],
    notBefore: new Date(now),
    notAfter: new Date(endsAt),
    signingAlgorithm: ALGORITHM,
    keys,
  });
  const privateKey = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { privateKey: String(privateKey), certificate: certificate.toString('pem') };
}

/** The name of a key by its certificate; empty where there is none, or no mark under this label. */
export function nameIn(certificate: string, label: string): string {
  if (certificate === '') return '';
  const { subject } = new X509Certificate(certificate);
  const found = SUBJECT.exec(subject)?.groups ?? {};
  const { generation = '', token = '' } = found;
  return found['label'] === digestOf(label) ? nameOf({ label, generation: Number(generation), token }) : '';
}

function subjectOf(name: string): string {
  const { label, generation, token } = markIn(name) as Mark;
  return `${digestOf(label)}.${generation}.${token}`;
}

function digestOf(label: string): string {
  return createHash('sha256').update(label).digest('hex').slice(0, 16);
}

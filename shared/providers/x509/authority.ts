import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { AuthorityDocument } from '../../domain/bundle.ts';
import { validityOf } from '../../domain/certificate.ts';
import { toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { agentId } from '../../domain/spiffe.ts';
import type { AwsReach } from '../../http/aws.ts';
import { kmsSigner } from '../../http/kms-signer.ts';
import { endKey, makeKey, publicKeyOf } from '../../http/kms.ts';
import {
  authorityOf,
  caCertificate,
  leafCertificate,
  newSerial,
  responderCertificate,
} from '../../x509/certificates.ts';
import type { Made } from '../identity/steps.ts';
import type { IdentityReach } from '../provider.ts';
import type { X509Material, X509Target } from './material.ts';

/** How long what a proof signs is good for. */
const PROOF_SECONDS = 60;

/** Names an authority: its key, as its certificate and those that it signs have it. @throws RekeyError ERR_REJECTED */
export function idOf(certificate: string): string {
  return Buffer.from(authorityOf(certificate).keyId).toString('hex');
}

/** Makes an authority: a key pair in KMS, and the certificate that it signs for itself. */
export async function makeAuthority(
  aws: AwsReach,
  target: X509Target,
  {
    stage,
    url,
    statusUrl = url,
    statusKey,
  }: Pick<IdentityReach, 'stage' | 'url' | 'statusUrl' | 'statusKey'>,
  now: number,
): Promise<Made> {
  const { name: set, trustDomain, caSeconds: lifeSeconds, clockSkewSeconds: skewSeconds } = target;
  const type = 'certificate-authority';
  const description = `Rekey ${stage}: certificate authority of ${set}`;
  const keyArn = await makeKey(aws, { spec: 'ECC_NIST_P256', description, type, stage, set });
  try {
    const terms = { trustDomain, serial: newSerial(), ...validityOf({ now, lifeSeconds, skewSeconds }) };
    const signer = kmsSigner(aws, keyArn);
    const certificate = await caCertificate(signer, terms);
    const id = idOf(certificate);
    const document: AuthorityDocument = { certificate };
    if (statusUrl !== undefined && statusKey !== undefined) {
      const told = statusUrl.replace(/\/$/, '');
      const publicKey = await publicKeyOf(aws, statusKey);
      const responder = { ...terms, publicKey, serial: newSerial() };
      document.ocsp = `${told}/ocsp/${set}`;
      document.crl = `${told}/crl/${set}/${id}`;
      document.responder = await responderCertificate(signer, authorityOf(certificate), responder);
    }
    const fresh = { id, document, ref: keyArn, notAfter: terms.notAfter };
    return { fresh, secret: new Redacted(JSON.stringify({ certificate, keyArn })) };
  } catch (error) {
    // Nobody knows of this key: what fails to end it costs a dollar a month.
    await endKey(aws, keyArn).catch(() => undefined);
    throw error;
  }
}

/** What a proof is about. */
export interface Proving {
  readonly target: X509Target;
  readonly material: X509Material;
  /** The trust bundle as verifiers read it, in PEM. */
  readonly bundle: string;
  readonly now: number;
}

/**
 * Has the authority sign a leaf for a key that is thrown away, and checks that as a verifier does, by the published bundle.
 * @throws RekeyError ERR_REJECTED
 */
export async function proveAuthority(aws: AwsReach, proving: Proving): Promise<void> {
  const { target, material, bundle, now } = proving;
  const published = certificatesIn(bundle);
  const own = new X509Certificate(material.certificate);
  const root = published.find(({ fingerprint256 }) => fingerprint256 === own.fingerprint256);
  if (root === undefined) throw rejected('verifiers are not told of it');
  if (now < root.validFromDate.getTime() || now >= root.validToDate.getTime()) {
    throw rejected(`its certificate counts from ${at(root.validFromDate)} to ${at(root.validToDate)}`);
  }
  const leaf = new X509Certificate(await proofOf(aws, target, material, now));
  if (!leaf.checkIssued(root) || !leaf.verify(root.publicKey)) throw rejected('what it signs is refused');
}

async function proofOf(
  aws: AwsReach,
  target: X509Target,
  { certificate, keyArn }: X509Material,
  now: number,
): Promise<string> {
  const authority = authorityOf(certificate);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const lifetime = { now, lifeSeconds: PROOF_SECONDS, skewSeconds: target.clockSkewSeconds };
  try {
    return await leafCertificate(kmsSigner(aws, keyArn), authority, {
      id: agentId(target.trustDomain, 'rekey-proof'),
      publicKey,
      serial: newSerial(),
      ...validityOf({ ...lifetime, issuerEndsAt: authority.notAfter }),
    });
  } catch (error) {
    if (isRekeyError(error)) throw error;
    throw rejected('nothing can be signed with it');
  }
}

/** The certificates in a text in PEM. */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function at(time: Date): string {
  return toInstant(time.getTime());
}

function rejected(why: string): RekeyError {
  return new RekeyError('ERR_REJECTED', `the certificate authority does not work: ${why}`, {
    remedy: 'somebody has changed the secret or ended the key; start a new rotation',
  });
}

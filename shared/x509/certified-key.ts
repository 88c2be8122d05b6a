import { createHash, generateKeyPairSync } from 'node:crypto';
import { validityOf } from '../domain/certificate.ts';
import { toInstant } from '../domain/clock.ts';
import type { Issuing } from '../domain/bundle.ts';
import type { Leaf } from '../domain/leaf.ts';
import { Redacted } from '../domain/redacted.ts';
import type { Signer } from '../ports/signer.ts';
import { authorityOf, leafCertificate, newSerial } from './certificates.ts';

/** What a certificate is to say whose key Rekey makes itself. */
export interface KeyTerms {
  /** The SPIFFE id. */
  readonly id: string;
  /** The last name in it that is an agent's. */
  readonly agent: string;
  /** Who has it made, as the record has it. */
  readonly caller: string;
  readonly now: number;
  readonly lifeSeconds: number;
  readonly skewSeconds: number;
}

/** A key pair with its certificate; PEM both. */
export interface CertifiedKey {
  readonly leaf: Leaf;
  readonly certificate: string;
  readonly privateKey: Redacted<string>;
}

/**
 * Makes a key and its certificate, for whoever can't make a request. It never outlives its authority, and is on record before it is
 * signed, as one that was asked for.
 * @throws RekeyError ERR_UNAVAILABLE where the authority has ended, ERR_REJECTED where its key is another one
 */
export async function certifiedKey(
  issuing: Issuing,
  signer: Signer,
  terms: KeyTerms,
  record: (leaf: Leaf) => Promise<void>,
): Promise<CertifiedKey> {
  const { id, agent, caller, now } = terms;
  const authority = authorityOf(issuing.certificate);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const leaf: Leaf = {
    ...validityOf({ ...terms, issuerEndsAt: authority.notAfter }),
    serial: newSerial(),
    id,
    fingerprint: createHash('sha256').update(spki).digest('hex'),
    authority: issuing.id,
    agent,
    caller,
    issuedAt: toInstant(now),
  };
  await record(leaf);
  const { crl, ocsp } = issuing;
  const certificate = await leafCertificate(signer, authority, {
    ...leaf,
    publicKey,
    ...(crl === undefined ? {} : { crl }),
    ...(ocsp === undefined ? {} : { ocsp }),
  });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { leaf, certificate, privateKey: new Redacted(pem) };
}

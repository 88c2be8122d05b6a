import { X509Certificate, type KeyObject } from 'node:crypto';
import { textIn } from '../agent/api.ts';
import { CredentialError } from '../errors.ts';
import type { HeldCertificate } from './options.ts';
import { idIn } from './peer.ts';

/** A certificate with its key, as TLS takes them. */
export interface Issued {
  readonly about: HeldCertificate;
  /** PEM. It stays in this process. */
  readonly key: string;
  readonly read: X509Certificate;
  readonly renewAt: string;
}

/**
 * What the agent API has issued for a key.
 * @throws CredentialError ERR_VALUE where it is for another key, or not what the answer says of it
 */
export function issuedIn(body: unknown, key: KeyObject): Issued {
  const certificate = textIn(body, 'certificate');
  const id = textIn(body, 'id');
  const renewAt = textIn(body, 'renewAt');
  const read = readIn(certificate);
  if (!read.checkPrivateKey(key)) throw wrong('it is for another key');
  if (idIn(read.subjectAltName) !== id) throw wrong('it has another name');
  if (Number.isNaN(Date.parse(renewAt))) throw wrong('nothing says when to renew it');
  return {
    about: {
      id,
      serial: textIn(body, 'serial'),
      authority: textIn(body, 'authority'),
      certificate,
      notAfter: Date.parse(read.validTo),
    },
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    read,
    renewAt,
  };
}

function readIn(certificate: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch {
    throw wrong('it is none');
  }
}

function wrong(why: string): CredentialError {
  return new CredentialError('ERR_VALUE', `the certificate that was issued is not usable: ${why}`);
}

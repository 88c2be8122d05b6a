import { X509Certificate, type KeyObject } from 'node:crypto';
import { id_kp_clientAuth, id_kp_serverAuth } from '@peculiar/asn1-x509';
import { fromInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Authority } from './certificates.ts';

/** What a leaf was asked to say. */
export interface WantedLeaf {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly notAfter: Instant;
}

/** What every leaf has as its subject: nothing that anybody could take for the name of a host. */
const SUBJECT = 'O=Rekey';

/**
 * A leaf that was made elsewhere, as PEM, once it is seen to say what was asked for and nothing else. Whatever it says beyond
 * that could pass for another agent, or sign.
 * @throws RekeyError ERR_REJECTED
 */
export function leafAsWanted(pem: string, authority: Authority, wanted: WantedLeaf): string {
  const read = new X509Certificate(pem);
  const issuer = new X509Certificate(authority.pem);
  const uses = read.keyUsage ?? [];
  const checks: readonly (readonly [string, boolean])[] = [
    ['key', read.publicKey.equals(wanted.publicKey)],
    ['name', read.subjectAltName === `URI:${wanted.id}`],
    ['subject', read.subject === SUBJECT],
    ['use', !read.ca && isSame(uses, [id_kp_serverAuth, id_kp_clientAuth])],
    ['end', read.validToDate.getTime() <= fromInstant(wanted.notAfter)],
    ['signature', read.checkIssued(issuer) && read.verify(authority.publicKey)],
  ];
  const wrong = checks.flatMap(([what, holds]) => (holds ? [] : [what]));
  if (wrong.length === 0) return read.toString();
  throw new RekeyError('ERR_REJECTED', `the certificate has another ${wrong.join(', ')} than was asked for`, {
    remedy: 'look at the certificate authority: what it issues is not taken',
  });
}

function isSame(found: readonly string[], wanted: readonly string[]): boolean {
  return found.length === wanted.length && wanted.every((each) => found.includes(each));
}

import { createPublicKey, X509Certificate } from 'node:crypto';
import { authorityDocument } from '../../domain/bundle.ts';
import { validityOf } from '../../domain/certificate.ts';
import { fromInstant } from '../../domain/clock.ts';
import type { DirectoryEntry, DirectorySet } from '../../domain/directory.ts';
import { emptyList, type RevocationList } from '../../domain/revocations.ts';
import type { Signer } from '../../ports/signer.ts';
import { authorityOf, newSerial, responderCertificate } from '../../x509/certificates.ts';
import { untilCommitted } from '../state.ts';
import type { ListingDeps } from './lists.ts';

/** What certifies the key that answers. */
export interface CertifyingDeps extends Pick<ListingDeps, 'revocations' | 'signer' | 'clock'> {
  /** The key that tells which certificates are revoked. */
  readonly statusKey: Pick<Signer, 'publicKey'>;
}

/** The certificate of whoever answers for an authority, as PEM: the latest one. */
export function responderOf(
  { document }: Pick<DirectoryEntry, 'document'>,
  list: RevocationList | undefined,
): string | undefined {
  return list?.responder ?? authorityDocument.parse(document).responder;
}

/**
 * Has an authority certify the key that answers for it now, where that is another one than when the authority was made; says
 * whether it had to. Until then no answer is given: nobody would take it.
 */
export function certifyResponder(
  { revocations, signer, statusKey, clock }: CertifyingDeps,
  { name, times }: DirectorySet,
  entry: DirectoryEntry,
): Promise<boolean> {
  return untilCommitted(async () => {
    const { id, ref, document } = entry;
    const list = await revocations.read(name, id);
    const known = responderOf(entry, list);
    const publicKey = await statusKey.publicKey();
    if (ref === undefined || known === undefined || isOf(known, publicKey)) return false;
    const authority = authorityOf(authorityDocument.parse(document).certificate);
    const now = clock();
    const responder = await responderCertificate(signer(ref), authority, {
      publicKey,
      serial: newSerial(),
      ...validityOf({
        now,
        lifeSeconds: Math.ceil((fromInstant(authority.notAfter) - now) / 1000),
        skewSeconds: times.skewSeconds,
        issuerEndsAt: authority.notAfter,
      }),
    });
    await revocations.write({ ...(list ?? emptyList(name, id)), responder });
    return true;
  });
}

function isOf(certificate: string, publicKey: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return new X509Certificate(certificate).publicKey.equals(key);
}

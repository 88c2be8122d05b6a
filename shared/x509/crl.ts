import { verify } from 'node:crypto';
import {
  AuthorityKeyIdentifier,
  CertificateList,
  CRLNumber,
  id_ce_authorityKeyIdentifier,
  id_ce_cRLNumber,
  KeyIdentifier,
  RevokedCertificate,
  TBSCertList,
  Time,
  Version,
} from '@peculiar/asn1-x509';
import { fromInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Revocation } from '../domain/revocations.ts';
import type { Signer } from '../ports/signer.ts';
import { derOf, ecdsaWithSha256, extension } from './asn1.ts';
import type { Authority } from './certificates.ts';

/** What a list says. */
export interface ListTerms {
  readonly number: number;
  readonly revoked: readonly Revocation[];
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
}

/**
 * The list of what an authority has revoked (RFC 5280, section 5), signed by itself, in DER.
 * @throws RekeyError ERR_REJECTED where the signature is of another key
 */
export async function revocationList(
  signer: Signer,
  authority: Authority,
  { number, revoked, thisUpdate, nextUpdate }: ListTerms,
): Promise<Uint8Array> {
  const keyIdentifier = new KeyIdentifier(authority.keyId);
  const tbsCertList = new TBSCertList({
    version: Version.v2,
    signature: ecdsaWithSha256(),
    issuer: authority.subject,
    thisUpdate: time(thisUpdate),
    nextUpdate: time(nextUpdate),
    // An empty sequence is none (section 5.1.2.6).
    ...(revoked.length === 0 ? {} : { revokedCertificates: revoked.map(entry) }),
    crlExtensions: [
      extension(id_ce_authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier })),
      extension(id_ce_cRLNumber, new CRLNumber(number)),
    ],
  });
  const tbs = derOf(tbsCertList);
  const signature = new Uint8Array(await signer.sign(tbs));
  if (!verify('sha256', tbs, authority.publicKey, signature)) {
    throw new RekeyError('ERR_REJECTED', "the signature is not of the certificate authority's key", {
      remedy: 'look at the key that the entry of the bundle names (docs/providers/x509.md)',
    });
  }
  return derOf(
    new CertificateList({
      tbsCertList,
      signatureAlgorithm: ecdsaWithSha256(),
      signature: signature.buffer,
    }),
  );
}

function entry({ serial, revokedAt }: Revocation): RevokedCertificate {
  return new RevokedCertificate({
    userCertificate: new Uint8Array(Buffer.from(serial, 'hex')).buffer,
    revocationDate: time(revokedAt),
  });
}

/** Times in lists have no fractions (RFC 5280, section 4.1.2.5). */
function time(instant: Instant): Time {
  return new Time(new Date(Math.floor(fromInstant(instant) / 1000) * 1000));
}

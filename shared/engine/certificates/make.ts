import { createHash, X509Certificate } from 'node:crypto';
import type { Issuing } from '../../domain/bundle.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Leaf } from '../../domain/leaf.ts';
import type { Leaves } from '../../ports/leaves.ts';
import type { PrivateAuthority } from '../../ports/private-authority.ts';
import type { Signer } from '../../ports/signer.ts';
import { leafCertificate, type Authority } from '../../x509/certificates.ts';
import { leafAsWanted } from '../../x509/issued.ts';
import type { ProvenKey } from '../../x509/request.ts';

/** Who makes certificates. */
export interface MakingDeps {
  readonly leaves: Pick<Leaves, 'refer' | 'renumber'>;
  /** Signs with a key of KMS. */
  readonly signer: (keyArn: string) => Signer;
  /** The authority of AWS Private CA that an ARN names; undefined where it names something else. */
  readonly privateAuthority: (arn: string) => PrivateAuthority | undefined;
}

/** A leaf that is on record, and the authority that is to make its certificate. */
export interface LeafToMake {
  readonly set: string;
  readonly issuing: Issuing;
  readonly authority: Authority;
  readonly leaf: Leaf;
  readonly key: ProvenKey;
  /** PKCS#10, as PEM. */
  readonly csr: string;
}

/** A certificate as PEM, and the serial number in it. */
export interface MadeCertificate {
  readonly certificate: string;
  readonly serial: string;
}

/**
 * Makes the certificate of a leaf, or has it made. An authority may have ended since the bundle was read: then the next one
 * signs in a moment.
 * @throws RekeyError ERR_UNAVAILABLE, ERR_REQUEST
 */
export async function makeCertificate(deps: MakingDeps, asked: LeafToMake): Promise<MadeCertificate> {
  const { issuing, authority } = asked;
  const issuer = deps.privateAuthority(issuing.ref);
  try {
    if (issuer !== undefined) return await issued(deps.leaves, issuer, asked);
    const { leaf } = asked;
    const certificate = await leafCertificate(deps.signer(issuing.ref), authority, termsOf(asked));
    return { certificate, serial: leaf.serial };
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED', 'ERR_ADMIN_DENIED')) throw error;
    throw new RekeyError('ERR_UNAVAILABLE', 'the certificate authority does not sign now', {
      remedy: 'ask again in a moment; where that goes on, look at the authority and its key',
      cause: error,
    });
  }
}

/**
 * Has it issued. Where the issuer has it is on record before it is waited for: whoever asks again waits for the same one. What is
 * not as it was asked for goes nowhere, and what is goes to its holder once it is on record under the number that it has.
 */
async function issued(
  leaves: MakingDeps['leaves'],
  issuer: PrivateAuthority,
  { set, authority, leaf, key, csr }: LeafToMake,
): Promise<MadeCertificate> {
  const ref = leaf.ref ?? (await issuer.ask({ ...leaf, csr, token: tokenOf(leaf, csr) }));
  if (leaf.ref === undefined) await leaves.refer(set, leaf, ref);
  const { publicKey } = key;
  const certificate = leafAsWanted(await issuer.certificate(ref), authority, { ...leaf, publicKey });
  const serial = new X509Certificate(certificate).serialNumber.toLowerCase();
  await leaves.renumber(set, { ...leaf, ref }, serial);
  return { certificate, serial };
}

/** The same for the same request; a request that was signed anew is another one to the issuer. */
function tokenOf({ serial }: Leaf, csr: string): string {
  return createHash('sha256').update(`${serial}\n${csr}`).digest('hex').slice(0, 32);
}

function termsOf({ leaf, key, issuing }: LeafToMake): Parameters<typeof leafCertificate>[2] {
  const { id, serial, notBefore, notAfter } = leaf;
  const { crl, ocsp } = issuing;
  return {
    id,
    serial,
    notBefore,
    notAfter,
    publicKey: key.publicKey,
    ...(crl === undefined ? {} : { crl }),
    ...(ocsp === undefined ? {} : { ocsp }),
  };
}

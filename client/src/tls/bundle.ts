import { createHash, X509Certificate } from 'node:crypto';
import { CredentialError } from '../errors.ts';

/** What is trusted: the certificates of a trust bundle. */
export interface Bundle {
  readonly pem: string;
  readonly authorities: readonly X509Certificate[];
}

/** What is trusted where nothing is known any more: nobody. */
export const NOBODY: Bundle = { pem: '', authorities: [] };

/** @throws CredentialError ERR_UNAVAILABLE where it is no bundle */
export function bundleIn(text: string): Bundle {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const authorities = blocks.map((block) => new X509Certificate(block));
    if (authorities.some(({ ca }) => !ca)) throw new Error('not of an authority');
    return { pem: text, authorities };
  } catch (cause) {
    throw new CredentialError('ERR_UNAVAILABLE', 'the trust bundle is not readable', { cause });
  }
}

/** Whether one of the bundle's authorities has signed it. */
export function isVouchedFor({ authorities }: Bundle, certificate: X509Certificate): boolean {
  return authorities.some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
}

/** What Rekey calls an authority: the first 160 bits of the SHA-256 of its key (RFC 7093, section 2, method 1), in hexadecimal. */
export function authorityId({ publicKey }: Pick<X509Certificate, 'publicKey'>): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const [, algorithm] = bounds(spki, bounds(spki, 0)[0]);
  // Behind the algorithm is the key, a string of bits: its first byte says how many of the last are spare, which is none.
  const [from, to] = bounds(spki, algorithm);
  return createHash('sha256')
    .update(spki.subarray(from + 1, to))
    .digest('hex')
    .slice(0, 40);
}

/** Where the content of a value in DER begins and ends. */
function bounds(der: Buffer, at: number): [from: number, to: number] {
  const first = der[at + 1] ?? 0;
  const more = first < 0x80 ? 0 : first & 0x7f;
  const from = at + 2 + more;
  const length = more === 0 ? first : der.readUIntBE(at + 2, more);
  return [from, from + length];
}

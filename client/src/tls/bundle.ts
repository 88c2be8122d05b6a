import { X509Certificate } from 'node:crypto';
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

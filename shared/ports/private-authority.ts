import type { Validity } from '../domain/certificate.ts';

/** A certificate that an authority is asked for. Nothing in it comes from the request but the key. */
export interface AskedLeaf extends Validity {
  /** The SPIFFE id, its only name. */
  readonly id: string;
  /** PKCS#10, as PEM. */
  readonly csr: string;
  /** The same one again, soon after, asks for the same certificate. */
  readonly token: string;
}

/** A way in which AWS lets verifiers know what is revoked. */
export type Telling = 'crl' | 'ocsp';

/** A certificate authority that issues by itself, in its own time: AWS Private CA. */
export interface PrivateAuthority {
  /**
   * Asks for a certificate; its ARN.
   * @throws RekeyError ERR_REQUEST where the authority can't read the request, ERR_REJECTED, ERR_ADMIN_DENIED
   */
  ask(asked: AskedLeaf): Promise<string>;
  /**
   * The certificate of that ARN, as PEM.
   * @throws RekeyError ERR_UNAVAILABLE where it takes longer than anybody waits, ERR_CONFLICT where there will be none, ERR_REJECTED
   */
  certificate(arn: string): Promise<string>;
  /** By what it lets verifiers know which certificates are revoked: by nothing where its owner has configured nothing. */
  tellsBy(): Promise<readonly Telling[]>;
  /**
   * Revokes the certificate of that serial number for good; revoked already is success.
   * @throws RekeyError ERR_UNAVAILABLE where it is busy, ERR_REJECTED, ERR_ADMIN_DENIED
   */
  revoke(serial: string): Promise<void>;
}

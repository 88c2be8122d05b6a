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
}

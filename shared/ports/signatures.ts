import type { InstanceJwk } from '../domain/instance-key.ts';
import type { Redacted } from '../domain/redacted.ts';

/** Signatures of instances (RFC 7515). */
export interface Signatures {
  /**
   * Thumbprint of a key (RFC 7638).
   * @throws RekeyError ERR_REQUEST where no signature could be checked with it.
   */
  thumbprint(key: Redacted<InstanceJwk>): Promise<string>;
  /**
   * The payload of a compact JWS. The key alone decides the algorithm, whatever the header says.
   * @throws RekeyError ERR_PROOF where the signature isn't this key's.
   */
  verify(jws: string, key: Redacted<InstanceJwk>): Promise<Uint8Array>;
}

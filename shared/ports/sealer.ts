import type { Redacted } from '../domain/redacted.ts';

/** What sealed bytes are about. Who unseals has to know it: it is no secret, and stands in the log of the key's use. */
export interface SealContext {
  readonly purpose: 'acknowledgement' | 'instance' | 'identity';
  /** Id of the credential, name of the agent, or set of the directory. */
  readonly of: string;
  /** Id of the rotation, of the session, or of the entry. */
  readonly id: string;
}

/** Encrypts small secrets under a key that stays where it is (KMS), each bound to what it is about (hard decision 7). */
export interface Sealer {
  seal(secret: Redacted<Uint8Array>, context: SealContext): Promise<string>;
  /** @throws RekeyError ERR_PROOF where it was sealed for something else. */
  unseal(sealed: string, context: SealContext): Promise<Redacted<Uint8Array>>;
}

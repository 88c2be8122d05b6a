/** Signs with a private key that stays where it is. */
export interface Signer {
  readonly algorithm: 'ECDSA-P256-SHA256';
  /** The public key, as SubjectPublicKeyInfo in DER. */
  publicKey(): Promise<Uint8Array>;
  /** The signature of `bytes`, in DER (RFC 3279, section 2.2.3). */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

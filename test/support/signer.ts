import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { Signer } from '../../shared/ports/signer.ts';

/** A signer that holds its key itself, and counts what it has signed. */
export interface LocalSigner extends Signer {
  readonly privateKey: KeyObject;
  signed: number;
}

/** A signer of Node's own, in place of KMS. */
export function localSigner(): LocalSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const signer: LocalSigner = {
    algorithm: 'ECDSA-P256-SHA256',
    privateKey,
    signed: 0,
    publicKey: async () => Promise.resolve(spki),
    async sign(bytes) {
      signer.signed++;
      return Promise.resolve(new Uint8Array(sign('sha256', bytes, privateKey)));
    },
  };
  return signer;
}

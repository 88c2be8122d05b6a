import { calculateJwkThumbprint, compactVerify, importJWK } from 'jose';
import { RekeyError } from '../domain/errors.ts';
import type { InstanceJwk } from '../domain/instance-key.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { Signatures } from '../ports/signatures.ts';

const ALGORITHM: Readonly<Record<InstanceJwk['kty'], string>> = { OKP: 'EdDSA', EC: 'ES256', oct: 'HS256' };

/** Checks signatures with the library `jose`. */
export const joseSignatures: Signatures = {
  async thumbprint(key) {
    try {
      await imported(key);
      return await calculateJwkThumbprint({ ...key.reveal() }, 'sha256');
    } catch (error) {
      throw new RekeyError('ERR_REQUEST', 'key: this is not a key that signatures can be checked with', {
        field: 'key',
        remedy: 'send an Ed25519 or P-256 public key, or an oct key of 32 bytes, as a JWK',
        cause: error,
      });
    }
  },

  async verify(jws, key) {
    try {
      const { payload } = await compactVerify(jws, await imported(key), {
        algorithms: [ALGORITHM[key.reveal().kty]],
      });
      return payload;
    } catch (error) {
      throw new RekeyError('ERR_PROOF', "the signature is not the instance's", {
        remedy:
          'sign with the key that the session was opened with (EdDSA, ES256 or HS256), as a compact JWS',
        cause: error,
      });
    }
  },
};

function imported(key: Redacted<InstanceJwk>): ReturnType<typeof importJWK> {
  const jwk = key.reveal();
  return importJWK({ ...jwk }, ALGORITHM[jwk.kty]);
}

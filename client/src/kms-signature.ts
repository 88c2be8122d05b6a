import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';

/** Signs a text with a credential whose private part nobody can read: the signature in base64url, as a JWS has it. */
export type SignWith = (credential: Credential, text: string) => Promise<string>;

/** What KMS is asked to sign. */
export interface KmsSign {
  readonly KeyId: string;
  readonly Message: Uint8Array;
  readonly MessageType: 'RAW';
  readonly SigningAlgorithm:
    'ED25519_SHA_512' | 'ECDSA_SHA_256' | 'RSASSA_PKCS1_V1_5_SHA_256' | 'RSASSA_PSS_SHA_256';
}

const ALGORITHMS: Readonly<Record<string, KmsSign['SigningAlgorithm']>> = {
  EdDSA: 'ED25519_SHA_512',
  ES256: 'ECDSA_SHA_256',
  RS256: 'RSASSA_PKCS1_V1_5_SHA_256',
  PS256: 'RSASSA_PSS_SHA_256',
};

/**
 * Signs with the key in KMS that a signing key of Rekey names: acknowledgements, and an agent's own tokens. `send` is
 * `(input) => kms.send(new SignCommand(input))` of `@aws-sdk/client-kms`; the caller needs `kms:Sign`.
 */
export function kmsSignature(
  send: (input: KmsSign) => Promise<{ readonly Signature?: Uint8Array | undefined }>,
): SignWith {
  return async (credential, text) => {
    const alg = credential.field('alg');
    const SigningAlgorithm = ALGORITHMS[alg];
    if (SigningAlgorithm === undefined) {
      throw new CredentialError('ERR_VALUE', 'the signing key has an algorithm that KMS does not know', {
        field: 'alg',
      });
    }
    const input = {
      KeyId: credential.field('keyArn'),
      Message: Buffer.from(text),
      MessageType: 'RAW' as const,
    };
    const { Signature = new Uint8Array() } = await send({ ...input, SigningAlgorithm });
    return (alg === 'ES256' ? joined(Signature) : Buffer.from(Signature)).toString('base64url');
  };
}

/** KMS writes the two numbers of a signature in DER; a JWS has them one after the other, 32 bytes each (RFC 7518, section 3.4). */
function joined(der: Uint8Array): Buffer {
  const out = Buffer.alloc(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length).subarray(-32);
    out.set(number, end - number.length);
    at += 2 + length;
  }
  return out;
}

import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { Redacted } from '../../domain/redacted.ts';
import type { AwsReach } from '../../http/aws.ts';
import { makeKey, publicKeyOf, signWithKey } from '../../http/kms.ts';
import type { Made } from '../identity/steps.ts';
import type { Algorithm } from './keys.ts';

/** How KMS calls a key of an algorithm, and what it signs with. */
const KMS: Readonly<Record<Algorithm, { readonly spec: string; readonly signing: string }>> = {
  EdDSA: { spec: 'ECC_NIST_EDWARDS25519', signing: 'ED25519_SHA_512' },
  ES256: { spec: 'ECC_NIST_P256', signing: 'ECDSA_SHA_256' },
  RS256: { spec: 'RSA_2048', signing: 'RSASSA_PKCS1_V1_5_SHA_256' },
  PS256: { spec: 'RSA_2048', signing: 'RSASSA_PSS_SHA_256' },
};

/** Makes a key pair in KMS, whose private part never leaves it. */
export async function makeKmsKey(aws: AwsReach, alg: Algorithm, stage: string, set: string): Promise<Made> {
  const description = `Rekey ${stage}: signing key of ${set}`;
  const keyArn = await makeKey(aws, { spec: KMS[alg].spec, description, type: 'signing-key', stage, set });
  const key = createPublicKey({ key: await publicKeyOf(aws, keyArn), format: 'der', type: 'spki' });
  const jwk: JsonWebKey = key.export({ format: 'jwk' });
  const kid = await calculateJwkThumbprint(jwk, 'sha256');
  const document = { ...jwk, kid, alg, use: 'sig' };
  return {
    fresh: { id: kid, document, ref: keyArn },
    secret: new Redacted(JSON.stringify({ ...document, keyArn })),
  };
}

/** The signature of `text` as a JWS has it, made in KMS under the function's own role. */
export async function signInKms(
  aws: AwsReach,
  keyArn: string,
  alg: Algorithm,
  text: string,
): Promise<string> {
  const signing = { algorithm: KMS[alg].signing, messageType: 'RAW', message: Buffer.from(text) } as const;
  const bytes = await signWithKey(aws, keyArn, signing);
  return (alg === 'ES256' ? joined(bytes) : bytes).toString('base64url');
}

/** KMS writes the two numbers of a signature in DER; a JWS has them one after the other, 32 bytes each. */
function joined(der: Buffer): Buffer {
  const out = Buffer.alloc(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length);
    const significant = number.subarray(Math.max(0, number.length - 32));
    significant.copy(out, end - significant.length);
    at += 2 + length;
  }
  return out;
}

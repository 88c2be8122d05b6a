import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import * as z from 'zod';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { AwsServiceError, isAwsError, type AwsReach, type CallOptions } from '../../http/aws.ts';
import { TAG } from '../../names.ts';
import type { Made } from '../identity/steps.ts';
import type { Algorithm } from './keys.ts';

/** How KMS calls a key of an algorithm, and what it signs with. */
const KMS: Readonly<Record<Algorithm, { readonly spec: string; readonly signing: string }>> = {
  EdDSA: { spec: 'ECC_NIST_EDWARDS25519', signing: 'ED25519_SHA_512' },
  ES256: { spec: 'ECC_NIST_P256', signing: 'ECDSA_SHA_256' },
  RS256: { spec: 'RSA_2048', signing: 'RSASSA_PKCS1_V1_5_SHA_256' },
  PS256: { spec: 'RSA_2048', signing: 'RSASSA_PSS_SHA_256' },
};

/** What KMS answers of a key that is to be deleted, or was. */
const GONE = ['NotFoundException', 'KMSInvalidStateException'];
/** The shortest time that KMS keeps a key which is to be deleted. */
const PENDING_DAYS = 7;

/** Makes a key pair in KMS, whose private part never leaves it. The call isn't repeated unseen: each one makes a key. */
export async function makeKmsKey(aws: AwsReach, alg: Algorithm, stage: string, set: string): Promise<Made> {
  const { KeyMetadata } = await call(
    aws,
    'CreateKey',
    {
      KeySpec: KMS[alg].spec,
      KeyUsage: 'SIGN_VERIFY',
      Description: `Rekey ${stage}: signing key of ${set}`,
      Tags: [
        { TagKey: TAG.type, TagValue: 'signing-key' },
        { TagKey: TAG.stage, TagValue: stage },
        { TagKey: TAG.set, TagValue: set },
      ],
    },
    z.object({ KeyMetadata: z.object({ Arn: z.string().min(1) }) }),
    { attempts: 1 },
  );
  const { Arn: keyArn } = KeyMetadata;
  const answer = z.object({ PublicKey: z.string() });
  const { PublicKey } = await call(aws, 'GetPublicKey', { KeyId: keyArn }, answer);
  const key = createPublicKey({ key: Buffer.from(PublicKey, 'base64'), format: 'der', type: 'spki' });
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
  const { Signature } = await call(
    aws,
    'Sign',
    {
      KeyId: keyArn,
      Message: Buffer.from(text).toString('base64'),
      MessageType: 'RAW',
      SigningAlgorithm: KMS[alg].signing,
    },
    z.object({ Signature: z.string() }),
  );
  const bytes = Buffer.from(Signature, 'base64');
  return (alg === 'ES256' ? joined(bytes) : bytes).toString('base64url');
}

/** Disables a key at once and has it deleted; one that is gone, or to go, is success. */
export async function endKmsKey(aws: AwsReach, keyArn: string): Promise<void> {
  for (const [operation, input] of [
    ['DisableKey', { KeyId: keyArn }],
    ['ScheduleKeyDeletion', { KeyId: keyArn, PendingWindowInDays: PENDING_DAYS }],
  ] as const) {
    try {
      await call(aws, operation, input, z.unknown());
    } catch (error) {
      if (!isRekeyError(error) || !isAwsError(error.cause, ...GONE)) throw error;
    }
  }
}

async function call<T>(
  aws: AwsReach,
  operation: string,
  input: object,
  answer: z.ZodType<T>,
  options?: CallOptions,
): Promise<T> {
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': `TrentService.${operation}`,
  };
  const request = { path: '/', method: 'POST', headers, body: JSON.stringify(input) };
  try {
    const { text } = await aws.request('kms', request, options);
    return answer.parse(text === '' ? {} : JSON.parse(text));
  } catch (error) {
    if (isAwsError(error, 'AccessDeniedException')) {
      throw refused('ERR_ADMIN_DENIED', `Rekey may not call kms:${operation} for this key`, error);
    }
    if (error instanceof AwsServiceError)
      throw refused('ERR_REJECTED', `KMS refuses kms:${operation} (${error.name})`, error);
    throw error;
  }
}

function refused(code: 'ERR_REJECTED' | 'ERR_ADMIN_DENIED', message: string, cause: unknown): RekeyError {
  return new RekeyError(code, message, {
    remedy: 'look at the key, its policy and its tags in KMS (docs/providers/jwks.md)',
    cause,
  });
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

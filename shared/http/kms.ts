import * as z from 'zod';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { TAG } from '../names.ts';
import { AwsServiceError, isAwsError, type AwsReach, type CallOptions } from './aws.ts';

/** Key pairs of KMS that sign, and whose private part never leaves it. */

/** What KMS answers of a key that is to be deleted, or was. */
const GONE = ['NotFoundException', 'KMSInvalidStateException'];
/** The shortest time that KMS keeps a key which is to be deleted. */
const PENDING_DAYS = 7;

/** A key that is to be made, and the tags by which roles reach it. */
export interface KeyToMake {
  /** As KMS calls it, e.g. `ECC_NIST_P256`. */
  readonly spec: string;
  readonly description: string;
  readonly type: string;
  readonly stage: string;
  readonly set: string;
}

/** What is to be signed, and how; both as KMS calls them. */
export interface Signing {
  readonly algorithm: string;
  /** What is signed, of 4,096 bytes at most, or its digest. */
  readonly messageType: 'RAW' | 'DIGEST';
  readonly message: Uint8Array;
}

/** Makes a key pair; its ARN. The call isn't repeated unseen: each one makes a key. */
export async function makeKey(
  aws: AwsReach,
  { spec, description, type, stage, set }: KeyToMake,
): Promise<string> {
  const tags = { [TAG.type]: type, [TAG.stage]: stage, [TAG.set]: set };
  const input = {
    KeySpec: spec,
    KeyUsage: 'SIGN_VERIFY',
    Description: description,
    Tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
  };
  const answer = z.object({ KeyMetadata: z.object({ Arn: z.string().min(1) }) });
  const { KeyMetadata } = await call(aws, 'CreateKey', input, answer, { attempts: 1 });
  return KeyMetadata.Arn;
}

/** The public key, as SubjectPublicKeyInfo in DER. */
export async function publicKeyOf(aws: AwsReach, keyArn: string): Promise<Buffer> {
  const answer = z.object({ PublicKey: z.string() });
  const { PublicKey } = await call(aws, 'GetPublicKey', { KeyId: keyArn }, answer);
  return Buffer.from(PublicKey, 'base64');
}

/** A signature, as KMS gives it: those of curves are in DER. */
export async function signWithKey(
  aws: AwsReach,
  keyArn: string,
  { algorithm, messageType, message }: Signing,
): Promise<Buffer> {
  const input = {
    KeyId: keyArn,
    Message: Buffer.from(message).toString('base64'),
    MessageType: messageType,
    SigningAlgorithm: algorithm,
  };
  const { Signature } = await call(aws, 'Sign', input, z.object({ Signature: z.string() }));
  return Buffer.from(Signature, 'base64');
}

/** Disables a key at once and has it deleted; one that is gone, or to go, is success. */
export async function endKey(aws: AwsReach, keyArn: string): Promise<void> {
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
    remedy: 'look at the key, its policy and its tags in KMS (docs/identities.md)',
    cause,
  });
}

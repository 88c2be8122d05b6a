import { createHash } from 'node:crypto';
import type { Signer } from '../ports/signer.ts';
import type { AwsReach } from './aws.ts';
import { publicKeyOf, signWithKey } from './kms.ts';

/** Signs with a key of KMS on the curve P-256, under the function's own role. Only the digest goes there: lists are longer than KMS takes. */
export function kmsSigner(aws: AwsReach, keyArn: string): Signer {
  return {
    algorithm: 'ECDSA-P256-SHA256',
    publicKey: async () => publicKeyOf(aws, keyArn),
    sign: async (bytes) =>
      signWithKey(aws, keyArn, {
        algorithm: 'ECDSA_SHA_256',
        messageType: 'DIGEST',
        message: createHash('sha256').update(bytes).digest(),
      }),
  };
}

import { RekeyError } from '../domain/errors.ts';
import { Redacted } from '../domain/redacted.ts';
import { SEAL } from '../names.ts';
import type { SealContext, Sealer } from '../ports/sealer.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

/** Seals with a KMS key. What it is about is the encryption context: KMS decrypts for nobody who names another. */
export class KmsSealer implements Sealer {
  readonly #aws: AwsCalls;
  readonly #key: string;

  constructor(options: { aws: AwsCalls; key: string }) {
    this.#aws = options.aws;
    this.#key = options.key;
  }

  async seal(secret: Redacted<Uint8Array>, context: SealContext): Promise<string> {
    const { CiphertextBlob } = await this.#aws.json<{ CiphertextBlob: string }>('kms', 'Encrypt', {
      KeyId: this.#key,
      Plaintext: Buffer.from(secret.reveal()).toString('base64'),
      EncryptionContext: encryptionContext(context),
    });
    return CiphertextBlob;
  }

  async unseal(sealed: string, context: SealContext): Promise<Redacted<Uint8Array>> {
    try {
      const { Plaintext } = await this.#aws.json<{ Plaintext: string }>('kms', 'Decrypt', {
        KeyId: this.#key,
        CiphertextBlob: sealed,
        EncryptionContext: encryptionContext(context),
      });
      return new Redacted(Buffer.from(Plaintext, 'base64'));
    } catch (error) {
      if (!isAwsError(error, 'InvalidCiphertextException', 'IncorrectKeyException')) throw error;
      throw new RekeyError('ERR_PROOF', 'it was sealed for something else', { cause: error });
    }
  }
}

function encryptionContext({ purpose, of, id }: SealContext): Record<string, string> {
  return { [SEAL.purpose]: purpose, [SEAL.of]: of, [SEAL.id]: id };
}

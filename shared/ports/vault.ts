import type { Instant } from '../domain/clock.ts';
import type { Redacted } from '../domain/redacted.ts';

export type Stage = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';

/** A secret as the vault describes it, without any value. */
export interface SecretDescription {
  readonly arn: string;
  readonly name: string;
  readonly rotationEnabled: boolean;
  /** Stages of each labelled version. */
  readonly versions: Readonly<Record<string, readonly string[]>>;
  readonly tags: Readonly<Record<string, string>>;
  /** The rotation function that is configured, whoever's it is. */
  readonly rotationFunction?: string;
  /** Its schedule, where that is in days. */
  readonly rotatesEveryDays?: number;
  /** The key that encrypts it, as the secret names it; absent under the key of the service. */
  readonly kmsKey?: string;
  /** The AWS service that manages the secret, e.g. `rds`; absent where people do. */
  readonly owningService?: string;
  /** It is scheduled for deletion and gives no value. */
  readonly deleted?: boolean;
}

/** The text of a version, with the time at which that was stored, where the vault tells. */
export interface StoredVersion {
  readonly text: Redacted<string>;
  readonly storedAt?: Instant;
}

/** AWS Secrets Manager, as far as Rekey uses it. Only "resource not found" reads as absent; everything else throws. */
export interface Vault {
  describe(secret: string): Promise<SecretDescription | undefined>;
  /** The text of a version that carries `stage`; undefined where there is no such version or it is still empty. */
  read(secret: string, select: { versionId?: string; stage?: Stage }): Promise<Redacted<string> | undefined>;
  /** The same with its date. */
  readVersion(
    secret: string,
    select: { versionId?: string; stage?: Stage },
  ): Promise<StoredVersion | undefined>;
  /**
   * Stores a version under `token`.
   * @returns `exists` where the token already has another text: read it again and use that (traps).
   */
  put(secret: string, token: string, text: Redacted<string>, stage: Stage): Promise<'stored' | 'exists'>;
  /** Moves AWSCURRENT from version `from` to version `to`. Already there is success. */
  promote(secret: string, move: { to: string; from: string | undefined }): Promise<void>;
  /** Takes AWSPENDING off a version. Already off is success. */
  stripPending(secret: string, versionId: string): Promise<void>;
  /** Creates the secret; `exists` where one of that name is there (same token and text: success). */
  create(input: {
    name: string;
    token: string;
    text: Redacted<string>;
    description: string;
    tags: Readonly<Record<string, string>>;
    kmsKeyId?: string;
  }): Promise<{ outcome: 'created'; arn: string } | { outcome: 'exists' }>;
  /** Deletes a secret that nobody has read yet, at once: for undoing a registration only. Gone is success. */
  discard(secret: string): Promise<void>;
  /** Configures the rotation function and the backstop schedule, without rotating (RotateImmediately=false). */
  configureRotation(secret: string, functionArn: string, everyDays: number): Promise<void>;
  /** Takes the rotation function and its schedule off; labels stay where they are. None there is success. */
  cancelRotation(secret: string): Promise<void>;
  /** Adds tags, or changes their values. */
  tag(secret: string, tags: Readonly<Record<string, string>>): Promise<void>;
  /** Takes tags off. Already off is success. */
  untag(secret: string, keys: readonly string[]): Promise<void>;
  /** Starts a rotation under `token`; answers at once, the steps run asynchronously. */
  rotate(secret: string, token: string): Promise<void>;
}

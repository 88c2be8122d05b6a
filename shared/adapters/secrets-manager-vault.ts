import type {
  CreateSecretCommandInput,
  DescribeSecretCommandOutput,
  GetSecretValueCommandOutput,
} from '@aws-sdk/client-secrets-manager';
import { Redacted } from '../domain/redacted.ts';
import type { SecretDescription, Stage, StoredVersion, Vault } from '../ports/vault.ts';
import { instantOfWire, isAwsError, type AwsCalls } from './aws-client.ts';

const ABSENT = 'ResourceNotFoundException';
const EXISTS = 'ResourceExistsException';

/** AWS Secrets Manager behind the Vault port. Versions are always addressed by id and stage together (traps). */
export class SecretsManagerVault implements Vault {
  readonly #aws: AwsCalls;

  constructor(aws: AwsCalls) {
    this.#aws = aws;
  }

  async describe(secret: string): Promise<SecretDescription | undefined> {
    const found = await orAbsent(
      this.#call<DescribeSecretCommandOutput>('DescribeSecret', { SecretId: secret }),
    );
    if (found === undefined) return undefined;
    return {
      arn: found.ARN ?? '',
      name: found.Name ?? '',
      rotationEnabled: found.RotationEnabled ?? false,
      versions: found.VersionIdsToStages ?? {},
      tags: Object.fromEntries((found.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? ''])),
      ...(found.RotationLambdaARN === undefined ? {} : { rotationFunction: found.RotationLambdaARN }),
      ...(found.RotationRules?.AutomaticallyAfterDays === undefined
        ? {}
        : { rotatesEveryDays: found.RotationRules.AutomaticallyAfterDays }),
      ...(found.KmsKeyId === undefined ? {} : { kmsKey: found.KmsKeyId }),
      ...(found.OwningService === undefined ? {} : { owningService: found.OwningService }),
      ...(found.DeletedDate === undefined ? {} : { deleted: true }),
    };
  }

  async read(
    secret: string,
    select: { versionId?: string; stage?: Stage },
  ): Promise<Redacted<string> | undefined> {
    return (await this.readVersion(secret, select))?.text;
  }

  async readVersion(
    secret: string,
    select: { versionId?: string; stage?: Stage },
  ): Promise<StoredVersion | undefined> {
    const { versionId, stage } = select;
    try {
      const found = await orAbsent(
        this.#call<GetSecretValueCommandOutput>('GetSecretValue', {
          SecretId: secret,
          ...(versionId === undefined ? {} : { VersionId: versionId }),
          ...(stage === undefined ? {} : { VersionStage: stage }),
        }),
      );
      if (found?.SecretString === undefined) return undefined;
      const storedAt = instantOfWire(found.CreatedDate);
      return {
        text: new Redacted(found.SecretString),
        ...(storedAt === undefined ? {} : { storedAt }),
      };
    } catch (error) {
      // The service refuses a version that is there without the stage; that is absent, as the stage is part of the name.
      const mismatch =
        versionId !== undefined && stage !== undefined && isAwsError(error, 'InvalidRequestException');
      if (mismatch && !(await this.#carries(secret, versionId, stage))) return undefined;
      throw error;
    }
  }

  async put(
    secret: string,
    token: string,
    value: Redacted<string>,
    stage: Stage,
  ): Promise<'stored' | 'exists'> {
    try {
      await this.#call('PutSecretValue', {
        SecretId: secret,
        ClientRequestToken: token,
        SecretString: value.reveal(),
        VersionStages: [stage],
      });
      return 'stored';
    } catch (error) {
      if (isAwsError(error, EXISTS)) return 'exists';
      throw error;
    }
  }

  async promote(secret: string, { to, from }: { to: string; from: string | undefined }): Promise<void> {
    if (to === from) return;
    const done = async (): Promise<boolean> => this.#carries(secret, to, 'AWSCURRENT');
    const move = {
      SecretId: secret,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: to,
      ...(from === undefined ? {} : { RemoveFromVersionId: from }),
    };
    await this.#move(move, done);
  }

  async stripPending(secret: string, versionId: string): Promise<void> {
    const done = async (): Promise<boolean> => !(await this.#carries(secret, versionId, 'AWSPENDING'));
    if (await done()) return;
    await this.#move({ SecretId: secret, VersionStage: 'AWSPENDING', RemoveFromVersionId: versionId }, done);
  }

  /** Moves a label. The service refuses where it isn't at the version named; that is success if it is there already. */
  async #move(input: object, done: () => Promise<boolean>): Promise<void> {
    try {
      await this.#call('UpdateSecretVersionStage', input);
    } catch (error) {
      if (!isAwsError(error, 'InvalidParameterException', 'InvalidRequestException') || !(await done()))
        throw error;
    }
  }

  async #carries(secret: string, versionId: string, stage: Stage): Promise<boolean> {
    return ((await this.describe(secret))?.versions[versionId] ?? []).includes(stage);
  }

  async create(input: Parameters<Vault['create']>[0]): ReturnType<Vault['create']> {
    const request: CreateSecretCommandInput = {
      Name: input.name,
      ClientRequestToken: input.token,
      SecretString: input.text.reveal(),
      Description: input.description,
      Tags: Object.entries(input.tags).map(([Key, Value]) => ({ Key, Value })),
      ...(input.kmsKeyId === undefined ? {} : { KmsKeyId: input.kmsKeyId }),
    };
    try {
      const created = await this.#call<{ ARN: string }>('CreateSecret', request);
      return { outcome: 'created', arn: created.ARN };
    } catch (error) {
      if (isAwsError(error, EXISTS)) return { outcome: 'exists' };
      throw error;
    }
  }

  async discard(secret: string): Promise<void> {
    await orAbsent(this.#call('DeleteSecret', { SecretId: secret, ForceDeleteWithoutRecovery: true }));
  }

  async configureRotation(secret: string, functionArn: string, everyDays: number): Promise<void> {
    await this.#call('RotateSecret', {
      SecretId: secret,
      RotationLambdaARN: functionArn,
      RotationRules: { AutomaticallyAfterDays: everyDays },
      RotateImmediately: false,
    });
  }

  async cancelRotation(secret: string): Promise<void> {
    await this.#call('CancelRotateSecret', { SecretId: secret });
  }

  async tag(secret: string, tags: Readonly<Record<string, string>>): Promise<void> {
    const list = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    await this.#call('TagResource', { SecretId: secret, Tags: list });
  }

  async untag(secret: string, keys: readonly string[]): Promise<void> {
    await this.#call('UntagResource', { SecretId: secret, TagKeys: [...keys] });
  }

  async rotate(secret: string, token: string): Promise<void> {
    await this.#call('RotateSecret', {
      SecretId: secret,
      ClientRequestToken: token,
      RotateImmediately: true,
    });
  }

  #call<Output>(operation: string, input: object): Promise<Output> {
    return this.#aws.json('secretsmanager', operation, input);
  }
}

/** Only "resource not found" means absent: denied access and throttling never do (traps). */
async function orAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isAwsError(error, ABSENT)) return undefined;
    throw error;
  }
}

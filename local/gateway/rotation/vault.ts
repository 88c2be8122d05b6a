import { recordOf, recordsOf, stringsOf, textOf } from '../../json.ts';
import { AwsError, type Upstream } from '../upstream.ts';

/** What the gateway needs to know about a secret. */
export interface SecretState {
  readonly arn: string;
  readonly name: string;
  readonly deleted: boolean;
  readonly lambdaArn?: string;
  /** Label → version. */
  readonly labels: ReadonlyMap<string, string>;
}

/** A stored version as GetSecretValue shows it; `value` is absent while the version is empty. */
export interface StoredVersion {
  readonly stages: readonly string[];
  readonly value?: { readonly string?: string; readonly binary?: string };
}

/**
 * MiniStack's Secrets Manager, called in the gateway's own name.
 *
 * A version without a value lives in MiniStack itself: its PutSecretValue accepts a request without one, which no
 * caller can send through the gateway. So labels, DescribeSecret and ListSecretVersionIds need no second book.
 */
export class Vault {
  readonly #upstream: Upstream;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  call(operation: string, input: object): Promise<Record<string, unknown>> {
    return this.#upstream.call('secretsmanager', `secretsmanager.${operation}`, input);
  }

  async describe(secretId: string): Promise<SecretState> {
    const answer = await this.call('DescribeSecret', { SecretId: secretId });
    const labels = new Map<string, string>();
    for (const [version, stages] of Object.entries(recordOf(answer['VersionIdsToStages']))) {
      for (const stage of stringsOf(stages)) labels.set(stage, version);
    }
    const lambda = textOf(answer['RotationLambdaARN']);
    return {
      arn: String(answer['ARN']),
      name: String(answer['Name']),
      deleted: answer['DeletedDate'] !== undefined && answer['DeletedDate'] !== null,
      labels,
      ...(lambda === undefined ? {} : { lambdaArn: lambda }),
    };
  }

  /** The version, labelled or not; undefined where there is none. */
  async version(secretId: string, versionId: string): Promise<StoredVersion | undefined> {
    try {
      const found = await this.call('GetSecretValue', { SecretId: secretId, VersionId: versionId });
      const string = textOf(found['SecretString']);
      const binary = textOf(found['SecretBinary']);
      const stages = stringsOf(found['VersionStages']);
      if (string === undefined && binary === undefined) return { stages };
      const value = {
        ...(string === undefined ? {} : { string }),
        ...(binary === undefined ? {} : { binary }),
      };
      return { stages, value };
    } catch (error) {
      if (error instanceof AwsError && error.code === 'ResourceNotFoundException') return undefined;
      throw error;
    }
  }

  /** Makes the version that a rotation begins with: AWSPENDING and no value. Takes the label from any other version. */
  async putEmptyPending(secretId: string, versionId: string): Promise<void> {
    await this.call('PutSecretValue', {
      SecretId: secretId,
      ClientRequestToken: versionId,
      VersionStages: ['AWSPENDING'],
    });
    await this.claimLabel(secretId, 'AWSPENDING', versionId);
  }

  /** Leaves `label` on this version only: MiniStack's PutSecretValue doesn't take it from the version that had it. */
  async claimLabel(secretId: string, label: string, versionId: string): Promise<void> {
    const listed = await this.call('ListSecretVersionIds', { SecretId: secretId });
    const holders = recordsOf(listed['Versions'])
      .filter((version) => stringsOf(version['VersionStages']).includes(label))
      .map((version) => textOf(version['VersionId']));
    if (holders.length === 1 && holders[0] === versionId) return;
    const move = { SecretId: secretId, VersionStage: label, MoveToVersionId: versionId };
    for (const from of [undefined, ...holders]) {
      // MiniStack wants the holder that it finds first to be named, and doesn't say which one that is.
      const input = from === undefined ? move : { ...move, RemoveFromVersionId: from };
      if (await this.#accepted('UpdateSecretVersionStage', input)) return;
    }
    throw new Error(`Label ${label} can't be moved to version ${versionId}`);
  }

  /** Takes a label off a version; nothing happens where it isn't there. */
  async dropLabel(secretId: string, label: string, versionId: string): Promise<void> {
    await this.#accepted('UpdateSecretVersionStage', {
      SecretId: secretId,
      VersionStage: label,
      RemoveFromVersionId: versionId,
    });
  }

  async #accepted(operation: string, input: object): Promise<boolean> {
    try {
      await this.call(operation, input);
      return true;
    } catch (error) {
      if (error instanceof AwsError && error.code === 'InvalidParameterException') return false;
      throw error;
    }
  }
}

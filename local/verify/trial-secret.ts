import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerServiceException,
  UpdateSecretCommand,
  UpdateSecretVersionStageCommand,
  type DescribeSecretCommandOutput,
  type RotateSecretCommandInput,
  type SecretsManagerClient,
  type UpdateSecretVersionStageCommandInput,
} from '@aws-sdk/client-secrets-manager';
import type { Plan } from './probe.ts';

interface Identity {
  readonly arn: string;
  readonly name: string;
  /** The version with which it began. */
  readonly first: string;
}

const LAG_MS = 5000;

/** A throw-away secret, as the scenarios handle it. */
export class TrialSecret {
  readonly arn: string;
  readonly name: string;
  readonly first: string;
  readonly #vault: SecretsManagerClient;
  readonly #probe: string;

  constructor(vault: SecretsManagerClient, probe: string, { arn, name, first }: Identity) {
    this.#vault = vault;
    this.#probe = probe;
    this.arn = arn;
    this.name = name;
    this.first = first;
  }

  /** Tells the probe what to do from its next call on; waits until that can be read. */
  async plan(plan: Plan): Promise<void> {
    const Description = JSON.stringify(plan);
    await this.#vault.send(new UpdateSecretCommand({ SecretId: this.arn, Description }));
    for (const end = Date.now() + LAG_MS; Date.now() < end; await sleep(500)) {
      if ((await this.describe()).Description === Description) return;
    }
  }

  /** Asks for a rotation to a token, a new one unless it is given. */
  async rotate(
    token: string = randomUUID(),
    more: Partial<RotateSecretCommandInput> = {},
  ): Promise<{ token: string; answered: string | undefined }> {
    const { VersionId: answered } = await this.#vault.send(
      new RotateSecretCommand({
        SecretId: this.arn,
        ClientRequestToken: token,
        RotationLambdaARN: this.#probe,
        RotationRules: { AutomaticallyAfterDays: 30 },
        ...more,
      }),
    );
    return { token, answered };
  }

  /** Puts a text; answers its version. */
  async put(SecretString: string, more: { token?: string; labels?: string[] } = {}): Promise<string> {
    const made = await this.#vault.send(
      new PutSecretValueCommand({
        SecretId: this.arn,
        SecretString,
        ClientRequestToken: more.token ?? randomUUID(),
        ...(more.labels === undefined ? {} : { VersionStages: more.labels }),
      }),
    );
    return made.VersionId ?? '';
  }

  async move(
    VersionStage: string,
    more: Pick<UpdateSecretVersionStageCommandInput, 'MoveToVersionId' | 'RemoveFromVersionId'>,
  ): Promise<void> {
    await this.#vault.send(
      new UpdateSecretVersionStageCommand({ SecretId: this.arn, VersionStage, ...more }),
    );
  }

  async text(select: { VersionId?: string; VersionStage?: string } = {}): Promise<string | undefined> {
    return (await this.#vault.send(new GetSecretValueCommand({ SecretId: this.arn, ...select })))
      .SecretString;
  }

  describe(): Promise<DescribeSecretCommandOutput> {
    return this.#vault.send(new DescribeSecretCommand({ SecretId: this.arn }));
  }

  /**
   * Which version carries which label, in words: `AWSCURRENT token, AWSPREVIOUS first`. `versions` gives them names
   * beside `first`. Reads of the service may lag behind its writes: they are given a moment to become as `wanted`.
   */
  async labelled(versions: Readonly<Record<string, string>>, wanted?: string): Promise<string> {
    const names = new Map(Object.entries({ first: this.first, ...versions }).map(([name, id]) => [id, name]));
    for (const end = Date.now() + LAG_MS; ; await sleep(500)) {
      const words = Object.entries((await this.describe()).VersionIdsToStages ?? {})
        .flatMap(([version, own]) => own.map((label) => `${label} ${names.get(version) ?? 'another'}`))
        .toSorted()
        .join(', ');
      if (wanted === undefined || words === wanted || Date.now() > end) return words;
    }
  }
}

/**
 * The name of the error with which Secrets Manager refuses a call, or `accepted`.
 * @throws what says nothing about Secrets Manager: the caller may not, nobody answers, it is broken or busy.
 */
export async function answerOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'accepted';
  } catch (error) {
    const refused = error instanceof SecretsManagerServiceException && error.$fault === 'client';
    if (!refused || /AccessDenied|Throttl|ExpiredToken|UnrecognizedClient/.test(error.name)) throw error;
    return error.name;
  }
}

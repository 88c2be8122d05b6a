import { recordsOf, stringsOf, textOf } from '../../json.ts';
import { errorAnswer, jsonAnswer, type WireAnswer } from '../wire.ts';
import { AwsError, type Upstream } from '../upstream.ts';
import { defaultRetry, Driver, type RetryPolicy, type RotationJob } from './driver.ts';
import { Locks } from './locks.ts';
import { Rotation, type RotationConfig } from './rotate.ts';
import * as values from './values.ts';
import { Vault, type SecretState } from './vault.ts';

type Input = Readonly<Record<string, unknown>>;

const noSecret = "Secrets Manager can't find the specified secret.";

/**
 * Secrets Manager as AWS documents it, in front of MiniStack's. Values stay in MiniStack; rotation settings and drives
 * live here. Changes of one secret are made one after the other, since several calls of MiniStack make up one of AWS.
 */
export class SecretsManager {
  readonly #vault: Vault;
  readonly #driver: Driver;
  readonly #rotation: Rotation;
  readonly #configs = new Map<string, RotationConfig>();
  readonly #locks = new Locks();

  constructor(upstream: Upstream, retry: Partial<RetryPolicy> = {}) {
    this.#vault = new Vault(upstream);
    this.#driver = new Driver(upstream, this.#vault, { ...defaultRetry, ...retry }, (arn) =>
      this.#rotated(arn),
    );
    this.#rotation = new Rotation(upstream, this.#vault, this.#driver, this.#configs);
  }

  /** Answers an operation; `forward` lets MiniStack answer the caller's own request. */
  async handle(operation: string, input: Input, forward: values.Forward): Promise<WireAnswer> {
    switch (operation) {
      case 'GetSecretValue':
        return values.getSecretValue(input, forward);
      case 'ListSecretVersionIds':
        return values.listVersions(input, forward);
      case 'DescribeSecret':
        return this.#withRotation(await forward());
      case 'ListSecrets':
        return this.#listed(await forward());
      case 'CreateSecret':
        return values.createSecret(this.#vault, input, forward);
      case 'RotateSecret':
      case 'CancelRotateSecret':
      case 'PutSecretValue':
      case 'UpdateSecret':
      case 'UpdateSecretVersionStage':
      case 'DeleteSecret':
        return this.#change(operation, input, forward);
      default:
        return forward();
    }
  }

  /** Does now what the secret's schedule would do; returns the version that is rotated to. */
  async fireSchedule(secretId: string): Promise<string> {
    const { arn } = await this.#vault.describe(secretId);
    return this.#locks.run(arn, async () => this.#rotation.fireSchedule(await this.#vault.describe(arn)));
  }

  /** The drives so far, oldest first. */
  get jobs(): readonly RotationJob[] {
    return this.#driver.jobs;
  }

  /** Waits until no rotation is driven any more. */
  idle(): Promise<void> {
    return this.#driver.idle();
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  async #change(operation: string, input: Input, forward: values.Forward): Promise<WireAnswer> {
    const arn = await this.#find(input['SecretId']);
    if (arn === undefined) {
      const answer = await forward(); // MiniStack says what is wrong with it, but lets RotateSecret pass
      return answer.status === 200 ? errorAnswer('ResourceNotFoundException', noSecret) : answer;
    }
    return this.#locks.run(arn, async () =>
      this.#changeAlone(operation, await this.#vault.describe(arn), input, forward),
    );
  }

  async #changeAlone(
    operation: string,
    secret: SecretState,
    input: Input,
    forward: values.Forward,
  ): Promise<WireAnswer> {
    if (operation === 'RotateSecret' || operation === 'CancelRotateSecret') {
      // MiniStack only checks that the caller may (launch.py takes its own rotation away).
      const allowed = await forward();
      if (allowed.status !== 200) return allowed;
      return operation === 'RotateSecret'
        ? this.#rotation.rotate(secret, input)
        : this.#rotation.cancel(secret);
    }
    if (operation === 'PutSecretValue') {
      const answer = await values.putSecretValue(this.#vault, secret, input, forward);
      const stages = input['VersionStages'];
      if (answer.status === 200 && (stages === undefined || stringsOf(stages).includes('AWSCURRENT')))
        await this.#changedByHand(secret);
      return answer;
    }
    const refused =
      operation === 'UpdateSecretVersionStage' ? values.refuseDroppingCurrent(input) : undefined;
    const answer = refused ?? (await forward());
    if (answer.status !== 200) return answer;
    if (operation === 'DeleteSecret') this.#driver.end(secret.arn, 'cancelled');
    else await this.#changedByHand(secret);
    return answer;
  }

  /** The current value became another than the one that is being rotated to: that rotation is given up. */
  async #changedByHand(before: SecretState): Promise<void> {
    const current = (await this.#vault.describe(before.arn)).labels.get('AWSCURRENT');
    if (current === before.labels.get('AWSCURRENT')) return;
    const token = this.#driver.runningToken(before.arn);
    if (current === token) return;
    if (token !== undefined) this.#driver.end(before.arn, 'abandoned');
    // A change by hand counts as a rotation for the schedule.
    if (this.#configs.get(before.arn)?.enabled === true) this.#rotated(before.arn);
  }

  #rotated(arn: string): void {
    const config = this.#configs.get(arn);
    if (config !== undefined) config.lastRotatedMs = Date.now();
  }

  async #find(secretId: unknown): Promise<string | undefined> {
    try {
      return (await this.#vault.describe(String(secretId))).arn;
    } catch (error) {
      if (error instanceof AwsError) return undefined;
      throw error;
    }
  }

  #withRotation(answer: WireAnswer): WireAnswer {
    if (answer.status !== 200) return answer;
    const secret = values.parse(answer);
    return jsonAnswer(200, { ...secret, ...this.#rotation.shown(String(secret['ARN'])) });
  }

  #listed(answer: WireAnswer): WireAnswer {
    if (answer.status !== 200) return answer;
    const page = values.parse(answer);
    const secrets = recordsOf(page['SecretList']).map((secret) => ({
      ...secret,
      ...this.#rotation.shown(textOf(secret['ARN']) ?? ''),
    }));
    return jsonAnswer(200, { ...page, SecretList: secrets });
  }
}

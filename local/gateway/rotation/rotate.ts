import { errorAnswer, jsonAnswer, type WireAnswer } from '../wire.ts';
import type { Upstream } from '../upstream.ts';
import type { Driver } from './driver.ts';
import { mayInvoke } from './lambda.ts';
import { nextRotation, ruleError, rulesOf, type RotationRules } from './rules.ts';
import type { SecretState, Vault } from './vault.ts';

/** A secret's rotation as the service keeps it beside the secret. */
export interface RotationConfig {
  enabled: boolean;
  lambdaArn?: string;
  rules?: RotationRules;
  lastRotatedMs?: number;
  configuredMs: number;
}

type Input = Readonly<Record<string, unknown>>;

const incomplete = "A previous rotation isn't complete. That rotation will be reattempted.";
const marked = "You can't perform this operation on the secret because it was marked for deletion.";
const noFunction = 'No Lambda rotation function ARN is associated with this secret.';
const notAllowed =
  'Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to ' +
  'the principal secretsmanager.amazonaws.com';

/** RotateSecret, CancelRotateSecret and the schedule, as the service documents and is seen to do them. */
export class Rotation {
  readonly #upstream: Upstream;
  readonly #vault: Vault;
  readonly #driver: Driver;
  readonly #configs: Map<string, RotationConfig>;

  constructor(upstream: Upstream, vault: Vault, driver: Driver, configs: Map<string, RotationConfig>) {
    this.#upstream = upstream;
    this.#vault = vault;
    this.#driver = driver;
    this.#configs = configs;
  }

  /** RotateSecret: checks, makes the empty AWSPENDING version, answers, and drives the four steps in the background. */
  async rotate(secret: SecretState, input: Input): Promise<WireAnswer> {
    if (secret.deleted) return errorAnswer('InvalidRequestException', marked);
    const token =
      typeof input['ClientRequestToken'] === 'string' ? input['ClientRequestToken'] : crypto.randomUUID();
    if (token.length < 32 || token.length > 64) {
      return errorAnswer('InvalidParameterException', 'ClientRequestToken must be 32-64 characters long.');
    }
    const rules = rulesOf(input['RotationRules']);
    const wrong = rules === undefined ? undefined : ruleError(rules);
    if (wrong !== undefined) return errorAnswer('InvalidParameterException', wrong);
    const known = this.#configs.get(secret.arn);
    const asked = input['RotationLambdaARN'];
    const lambdaArn = typeof asked === 'string' ? asked : (known?.lambdaArn ?? secret.lambdaArn);
    if (lambdaArn === undefined) return errorAnswer('InvalidRequestException', noFunction);
    if (!(await mayInvoke(this.#upstream, lambdaArn)))
      return errorAnswer('AccessDeniedException', notAllowed);

    if (this.#reattempt(secret, token, lambdaArn)) return errorAnswer('InvalidRequestException', incomplete);
    const effective = rules ?? known?.rules;
    this.#configs.set(secret.arn, {
      ...known,
      enabled: true,
      lambdaArn,
      configuredMs: Date.now(),
      ...(effective === undefined ? {} : { rules: effective }),
    });
    if (input['RotateImmediately'] === false) await this.#test(secret, token, lambdaArn);
    else await this.#begin(secret, token, lambdaArn);
    return jsonAnswer(200, { ARN: secret.arn, Name: secret.name, VersionId: token });
  }

  /** CancelRotateSecret: no further schedule, no further step; labels stay where they are. */
  cancel(secret: SecretState): WireAnswer {
    if (secret.deleted) return errorAnswer('InvalidRequestException', marked);
    const config = this.#configs.get(secret.arn);
    if (config !== undefined) config.enabled = false;
    this.#driver.end(secret.arn, 'cancelled');
    const pending = secret.labels.get('AWSPENDING');
    const version = pending === undefined ? {} : { VersionId: pending };
    return jsonAnswer(200, { ARN: secret.arn, Name: secret.name, ...version });
  }

  /** What the service does when the secret's schedule comes round. Returns the version that is rotated to. */
  async fireSchedule(secret: SecretState): Promise<string> {
    const config = this.#configs.get(secret.arn);
    if (secret.deleted || config?.enabled !== true || config.lambdaArn === undefined) {
      throw new Error(`Rotation is not enabled for ${secret.name}`);
    }
    const token = crypto.randomUUID();
    const blocking = secret.labels.get('AWSPENDING');
    if (this.#reattempt(secret, token, config.lambdaArn)) return blocking ?? token;
    await this.#begin(secret, token, config.lambdaArn);
    return token;
  }

  /** The fields of DescribeSecret and ListSecrets that tell about rotation. */
  shown(arn: string): Record<string, unknown> {
    const config = this.#configs.get(arn);
    if (config === undefined) return {};
    const next = config.enabled
      ? nextRotation(config.rules, config.lastRotatedMs ?? config.configuredMs)
      : undefined;
    return {
      RotationEnabled: config.enabled,
      RotationLambdaARN: config.lambdaArn,
      RotationRules: config.rules,
      ...(config.lastRotatedMs === undefined
        ? {}
        : { LastRotatedDate: Math.floor(config.lastRotatedMs / 1_000) }),
      ...(next === undefined ? {} : { NextRotationDate: next }),
    };
  }

  /** A pending version of another token blocks: its own rotation is driven again instead. */
  #reattempt(secret: SecretState, token: string, lambdaArn: string): boolean {
    const pending = secret.labels.get('AWSPENDING');
    if (pending === undefined || pending === token || pending === secret.labels.get('AWSCURRENT'))
      return false;
    this.#driver.start('rotation', secret.arn, pending, lambdaArn);
    return true;
  }

  async #begin(secret: SecretState, token: string, lambdaArn: string): Promise<void> {
    if (secret.labels.get('AWSCURRENT') === token) return; // done already: the same answer, nothing to drive
    if ((await this.#vault.version(secret.arn, token)) === undefined)
      await this.#vault.putEmptyPending(secret.arn, token);
    else await this.#vault.claimLabel(secret.arn, 'AWSPENDING', token);
    this.#driver.start('rotation', secret.arn, token, lambdaArn);
  }

  /** RotateImmediately=false: testSecret alone, on a pending copy of the current value that goes away afterwards. */
  async #test(secret: SecretState, token: string, lambdaArn: string): Promise<void> {
    const current = secret.labels.get('AWSCURRENT');
    if (current === undefined || current === token) return;
    const value = (await this.#vault.version(secret.arn, current))?.value;
    await this.#vault.call('PutSecretValue', {
      SecretId: secret.arn,
      ClientRequestToken: token,
      VersionStages: ['AWSPENDING'],
      SecretString: value?.string,
      SecretBinary: value?.binary,
    });
    await this.#vault.claimLabel(secret.arn, 'AWSPENDING', token);
    this.#driver.start('test', secret.arn, token, lambdaArn);
  }
}

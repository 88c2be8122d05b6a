import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  IAMClient,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';
import {
  AddPermissionCommand,
  CreateFunctionCommand,
  DeleteFunctionCommand,
  LambdaClient,
  waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { CreateQueueCommand, DeleteQueueCommand, GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { zippedFunction } from './bundle.ts';
import { ProbeCalls } from './probe-calls.ts';
import { TrialSecret } from './trial-secret.ts';

/** What the names of everything begin with that is made here; eight random characters follow. */
export const PREFIX = 'rekey-verify-';

/** Longest time until IAM lets Lambda use a role that was just made. */
const ROLE_LIMIT_MS = 90_000;

const GONE = [
  'ResourceNotFoundException',
  'NoSuchEntity',
  'NoSuchEntityException',
  'QueueDoesNotExist',
  'AWS.SimpleQueueService.NonExistentQueue',
];

export interface Place {
  readonly accountId: string;
  readonly region: string;
}

interface Undo {
  readonly what: string;
  readonly run: () => Promise<unknown>;
}

/** Throw-away resources: a role, a queue, the probe as a rotation function, and secrets. Each goes again. */
export class Stage {
  readonly name = `${PREFIX}${randomBytes(4).toString('hex')}`;
  readonly place: Place;
  readonly vault = new SecretsManagerClient({});
  readonly #iam = new IAMClient({});
  readonly #lambda = new LambdaClient({});
  readonly #sqs = new SQSClient({});
  readonly #ended: AbortSignal;
  /** Noted before each thing is made: what was made without an answer goes as well. */
  readonly #undo: Undo[] = [];
  #calls: ProbeCalls | undefined;
  #function = '';

  constructor(place: Place, ended: AbortSignal) {
    this.place = place;
    this.#ended = ended;
  }

  /** Makes all but the secrets. */
  async build(): Promise<void> {
    const queue = await this.#makeQueue();
    this.#calls = new ProbeCalls(this.#sqs, queue);
    const role = await this.#makeRole();
    this.#function = await this.#makeFunction(role, queue);
  }

  /** The calls that the probe has told of. */
  get calls(): ProbeCalls {
    if (this.#calls === undefined) throw new Error('nothing was built yet');
    return this.#calls;
  }

  /** A new secret whose text is `first`; the probe may move any label of it, or AWSPENDING only. */
  async secret(label: string, moves: 'any' | 'pending' = 'any'): Promise<TrialSecret> {
    this.#ended.throwIfAborted();
    const Name = `${this.name}${moves === 'any' ? '-' : '/'}${label}`;
    this.#undo.push({
      what: `secret ${Name}`,
      run: () =>
        this.vault.send(new DeleteSecretCommand({ SecretId: Name, ForceDeleteWithoutRecovery: true })),
    });
    const Description = '{}';
    const made = await this.vault.send(new CreateSecretCommand({ Name, SecretString: 'first', Description }));
    return new TrialSecret(this.vault, this.#function, {
      arn: made.ARN ?? '',
      name: Name,
      first: made.VersionId ?? '',
    });
  }

  /** Removes everything, the newest first, whatever goes wrong with one of them. Answers what is left. */
  async tearDown(): Promise<string[]> {
    const left: string[] = [];
    for (const { what, run } of this.#undo.toReversed()) {
      await run().catch((error: unknown) => {
        if (!(error instanceof Error && GONE.includes(error.name))) left.push(`${what} (${String(error)})`);
      });
    }
    for (const client of [this.vault, this.#iam, this.#lambda, this.#sqs]) client.destroy();
    return left;
  }

  async #makeQueue(): Promise<string> {
    this.#ended.throwIfAborted();
    const QueueName = `${this.name}.fifo`;
    this.#undo.push({
      what: `queue ${QueueName}`,
      run: async () => {
        const { QueueUrl } = await this.#sqs.send(new GetQueueUrlCommand({ QueueName }));
        await this.#sqs.send(new DeleteQueueCommand({ QueueUrl }));
      },
    });
    const made = await this.#sqs.send(
      new CreateQueueCommand({ QueueName, Attributes: { FifoQueue: 'true', SqsManagedSseEnabled: 'true' } }),
    );
    return made.QueueUrl ?? '';
  }

  async #makeRole(): Promise<string> {
    this.#ended.throwIfAborted();
    const RoleName = this.name;
    this.#undo.push({
      what: `role ${RoleName}`,
      run: () => this.#iam.send(new DeleteRoleCommand({ RoleName })),
    });
    const trust = statement('sts:AssumeRole', { Principal: { Service: 'lambda.amazonaws.com' } });
    const { Role } = await this.#iam.send(
      new CreateRoleCommand({
        RoleName,
        Description: 'rekey verify:aws, may be deleted',
        AssumeRolePolicyDocument: trust,
      }),
    );
    this.#undo.push({
      what: `policy of role ${RoleName}`,
      run: () => this.#iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName: 'probe' })),
    });
    const { accountId, region } = this.place;
    const partition = Role?.Arn?.split(':')[1] ?? 'aws';
    const at = (service: string, resource: string): string =>
      `arn:${partition}:${service}:${region}:${accountId}:${resource}`;
    const label = { Effect: 'Allow', Action: 'secretsmanager:UpdateSecretVersionStage' };
    const secrets = at('secretsmanager', `secret:${this.name}-*`);
    const narrowed = at('secretsmanager', `secret:${this.name}/*`);
    const own = statement(
      ['DescribeSecret', 'GetSecretValue', 'PutSecretValue'].map((action) => `secretsmanager:${action}`),
      { Resource: [secrets, narrowed] },
      { ...label, Resource: secrets },
      {
        ...label,
        Resource: narrowed,
        Condition: { 'ForAnyValue:StringEquals': { 'secretsmanager:VersionStage': 'AWSPENDING' } },
      },
      { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: at('sqs', `${this.name}.fifo`) },
    );
    await this.#iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'probe', PolicyDocument: own }));
    return Role?.Arn ?? '';
  }

  /** No right to write a log: so none is left behind either. */
  async #makeFunction(role: string, queue: string): Promise<string> {
    const FunctionName = this.name;
    const code = await zippedFunction(join(import.meta.dirname, 'probe.ts'));
    this.#undo.push({
      what: `function ${FunctionName}`,
      run: () => this.#lambda.send(new DeleteFunctionCommand({ FunctionName })),
    });
    const create = new CreateFunctionCommand({
      FunctionName,
      Description: 'rekey verify:aws, may be deleted',
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: role,
      Timeout: 60,
      MemorySize: 256,
      Code: { ZipFile: code },
      Environment: { Variables: { PROBE_QUEUE: queue } },
    });
    const end = Date.now() + ROLE_LIMIT_MS;
    for (;;) {
      this.#ended.throwIfAborted();
      try {
        const { FunctionArn = '' } = await this.#lambda.send(create);
        await waitUntilFunctionActiveV2({ client: this.#lambda, maxWaitTime: 60 }, { FunctionName });
        await this.#lambda.send(
          new AddPermissionCommand({
            FunctionName,
            StatementId: 'rotation',
            Action: 'lambda:InvokeFunction',
            Principal: 'secretsmanager.amazonaws.com',
            SourceAccount: this.place.accountId,
          }),
        );
        return FunctionArn;
      } catch (error) {
        // "The role defined for the function cannot be assumed by Lambda": not yet.
        const early = error instanceof Error && error.name === 'InvalidParameterValueException';
        if (!early || Date.now() > end) throw error;
        await sleep(3000, undefined, { signal: this.#ended });
      }
    }
  }
}

/** A policy of one allowing statement and those given beside it. */
function statement(action: string | string[], more: object, ...others: object[]): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: action, ...more }, ...others],
  });
}

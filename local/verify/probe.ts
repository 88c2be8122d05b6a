// The rotation function of `npm run verify:aws`: tells a queue of each call and of what it saw, then does the step as
// it was asked to by the secret's description. It knows no upstream; the values mean nothing.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

/** What the probe shall do, as JSON in the description of the secret. */
export interface Plan {
  /** The step that fails. */
  readonly failAt?: string;
  /** The step that takes its time, and how long. */
  readonly waitAt?: string;
  readonly waitSeconds?: number;
  /** The step that first tries to move AWSCURRENT and to take AWSPENDING off. */
  readonly relabelAt?: string;
}

/** One call of the probe. */
export interface ProbeCall {
  readonly at: string;
  readonly step: string;
  readonly secret: string;
  readonly token: string;
  /** Labels by version, when it was called. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** What reading the pending version gave: `done`, or the name of the error. */
  readonly pending: string;
  /** What moving AWSCURRENT and taking AWSPENDING off gave, where it was asked to. */
  readonly relabelled?: readonly string[];
}

interface Event {
  readonly Step: string;
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

const vault = new SecretsManagerClient({});
const queue = new SQSClient({});

export async function handler({ Step, SecretId, ClientRequestToken: token }: Event): Promise<void> {
  const secret = await vault.send(new DescribeSecretCommand({ SecretId }));
  const labels = secret.VersionIdsToStages ?? {};
  const plan = JSON.parse(secret.Description ?? '{}') as Plan;
  const call: ProbeCall = {
    at: new Date().toISOString(),
    step: Step,
    secret: SecretId,
    token,
    labels,
    pending: await answerOf(
      vault.send(new GetSecretValueCommand({ SecretId, VersionId: token, VersionStage: 'AWSPENDING' })),
    ),
    ...(plan.relabelAt === Step ? { relabelled: await relabel(SecretId, token, currentOf(labels)) } : {}),
  };
  await queue.send(
    new SendMessageCommand({
      QueueUrl: process.env['PROBE_QUEUE'],
      MessageBody: JSON.stringify(call),
      MessageGroupId: 'calls',
      MessageDeduplicationId: randomUUID(),
    }),
  );
  if (plan.waitAt === Step) await sleep((plan.waitSeconds ?? 0) * 1000);
  if (plan.failAt === Step) throw new Error(`the probe fails at ${Step}, as it was asked to`);
  await carryOut(Step, SecretId, token, labels);
}

/** `done`, or the name of the error. */
async function answerOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'done';
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

async function relabel(SecretId: string, token: string, current: string | undefined): Promise<string[]> {
  const move = { SecretId, MoveToVersionId: token, RemoveFromVersionId: current };
  const strip = { SecretId, RemoveFromVersionId: token };
  return [
    await answerOf(vault.send(new UpdateSecretVersionStageCommand({ ...move, VersionStage: 'AWSCURRENT' }))),
    await answerOf(vault.send(new UpdateSecretVersionStageCommand({ ...strip, VersionStage: 'AWSPENDING' }))),
  ];
}

function currentOf(labels: ProbeCall['labels']): string | undefined {
  return Object.keys(labels).find((version) => labels[version]?.includes('AWSCURRENT'));
}

/** Puts a value, moves the label; nothing to be done at an upstream. AWSPENDING stays where it is. */
async function carryOut(
  step: string,
  SecretId: string,
  token: string,
  labels: ProbeCall['labels'],
): Promise<void> {
  const current = currentOf(labels);
  if (current === token) return;
  if (labels[token]?.includes('AWSPENDING') !== true) throw new Error('this version is not pending');
  if (step === 'createSecret') {
    await vault.send(
      new PutSecretValueCommand({
        SecretId,
        ClientRequestToken: token,
        SecretString: `value of ${token}`,
        VersionStages: ['AWSPENDING'],
      }),
    );
  } else if (step === 'finishSecret') {
    await vault.send(
      new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: token,
        RemoveFromVersionId: current,
      }),
    );
  }
}

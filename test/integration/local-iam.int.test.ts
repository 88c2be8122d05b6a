import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { SEAL } from '../../shared/names.ts';

let stack: LocalStack;
let key: string;

beforeAll(async () => {
  stack = await startLocalStack({ iam: true });
  const made = await callsWith(stack.clientConfig.credentials).json<{ KeyMetadata: { Arn: string } }>(
    'kms',
    'CreateKey',
    {},
  );
  key = made.KeyMetadata.Arn;
});
afterAll(async () => {
  await stack.stop();
});

function callsWith(credentials: {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}): AwsCalls {
  return new AwsCalls({ region: stack.region, endpoint: stack.endpoint, credentials, caller: 'iam-test' });
}

/** Calls of a role with one statement. */
async function as(name: string, statement: object): Promise<AwsCalls> {
  const iam = new IAMClient(stack.clientConfig);
  const sts = new STSClient(stack.clientConfig);
  const policy = (given: object): string => JSON.stringify({ Version: '2012-10-17', Statement: [given] });
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: stack.accountId } };
  const { Role } = await iam.send(
    new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: policy(trust) }),
  );
  await iam.send(
    new PutRolePolicyCommand({ RoleName: name, PolicyName: 'own', PolicyDocument: policy(statement) }),
  );
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn: Role?.Arn, RoleSessionName: 'one' }),
  );
  return callsWith({
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  });
}

describe('roles on the local stack', () => {
  test('use a key for what their condition on the encryption context names, and for nothing else', async () => {
    const aws = await as('sealer', {
      Effect: 'Allow',
      Action: ['kms:Encrypt', 'kms:Decrypt'],
      Resource: key,
      Condition: { StringEquals: { [`kms:EncryptionContext:${SEAL.purpose}`]: ['acknowledgement'] } },
    });
    const sealer = new KmsSealer({ aws, key });
    const secret = new Redacted(Buffer.from('secret'));
    const about = { purpose: 'acknowledgement', of: 'c', id: 'r' } as const;
    const sealed = await sealer.seal(secret, about);
    expect(Buffer.from((await sealer.unseal(sealed, about)).reveal()).toString()).toBe('secret');
    const other = { ...about, purpose: 'instance' } as const;
    await expect(sealer.seal(secret, other)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    await expect(sealer.unseal(sealed, other)).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});

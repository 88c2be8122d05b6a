import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { createPublicKey, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { endKey, makeKey } from '../../shared/http/kms.ts';
import { kmsSigner } from '../../shared/http/kms-signer.ts';
import { SEAL, TAG } from '../../shared/names.ts';

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

  test('make keys that sign with their tags only, and sign with those that carry them', async () => {
    const about = { spec: 'ECC_NIST_P256', description: 'a', set: 'a', stage: 'local' };
    const other = await makeKey(callsWith(stack.clientConfig.credentials), { ...about, type: 'signing-key' });
    const usage = { 'kms:KeyUsage': 'SIGN_VERIFY' };
    const maker = await as('maker', {
      Effect: 'Allow',
      Action: ['kms:CreateKey', 'kms:TagResource'],
      Resource: '*',
      Condition: { StringEquals: { ...usage, [`aws:RequestTag/${TAG.type}`]: 'certificate-authority' } },
    });
    await expect(makeKey(maker, { ...about, type: 'signing-key' })).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
    });
    const own = await makeKey(maker, { ...about, type: 'certificate-authority' });
    const user = await as('signer', {
      Effect: 'Allow',
      Action: ['kms:Sign', 'kms:GetPublicKey', 'kms:DisableKey', 'kms:ScheduleKeyDeletion'],
      Resource: '*',
      Condition: { StringEquals: { ...usage, [`aws:ResourceTag/${TAG.type}`]: 'certificate-authority' } },
    });
    const signer = kmsSigner(user, own);
    const publicKey = Buffer.from(await signer.publicKey());
    const signed = await signer.sign(new Uint8Array(5000));
    const byKey = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
    expect(verify('sha256', new Uint8Array(5000), byKey, signed)).toBe(true);
    await expect(kmsSigner(user, other).sign(new Uint8Array(1))).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
    });
    // A key that encrypts is none that signs, whatever it carries.
    await expect(kmsSigner(user, key).publicKey()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    for (let twice = 0; twice < 2; twice++) await endKey(user, own);
    await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_REJECTED' });
  });
});

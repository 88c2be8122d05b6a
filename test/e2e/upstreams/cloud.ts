import { randomUUID } from 'node:crypto';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  ListAccessKeysCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { World } from '../../../local/demo/world.ts';
import { TAG } from '../../../shared/names.ts';
import { FakeAzure } from '../../fakes/azure.ts';
import { FakeGoogleIam } from '../../fakes/google-iam.ts';
import { entryOf, loseAnswer, played, posts, type PlayedUpstream } from './played.ts';

/** Keys of cloud accounts. */
export const CLOUD_KEYS = {
  'cloud-key/aws-iam': accessKeys,
  'cloud-key/azure-app': azureApp,
  'cloud-key/gcp-service-account': serviceAccount,
} as const;

/** The emulator's own IAM and STS. */
async function accessKeys({ stack }: World): Promise<PlayedUpstream> {
  const iam = new IAMClient(stack.clientConfig);
  const UserName = 'shop-uploader';
  await iam.send(new CreateUserCommand({ UserName, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
  return {
    key: 'cloud-key/aws-iam',
    entry: entryOf('cloud-key/aws-iam', { user: UserName }),
    tellsUseAtOnce: true,
    takes: async (secret) => {
      const { accessKeyId, secretAccessKey } = JSON.parse(secret) as Record<
        'accessKeyId' | 'secretAccessKey',
        string
      >;
      const sts = new STSClient({ ...stack.clientConfig, credentials: { accessKeyId, secretAccessKey } });
      try {
        await sts.send(new GetCallerIdentityCommand({}));
        return true;
      } catch {
        return false;
      } finally {
        sts.destroy();
      }
    },
    existing: async () => {
      const user = 'shop-uploader-by-hand';
      await iam.send(new CreateUserCommand({ UserName: user, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
      const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
      const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = key ?? {};
      return { secret: { accessKeyId, secretAccessKey }, target: { user } };
    },
    loseCreation: () => loseAnswer(stack, { service: 'iam', operation: 'CreateAccessKey' }),
    live: async () => {
      const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
      return AccessKeyMetadata.length;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(iam.destroy()),
  };
}

/** Its secret holds what stands beside the value as well. */
async function azureApp(): Promise<PlayedUpstream> {
  const fake = await FakeAzure.start();
  const baseUrl = fake.server.url;
  const clientId = randomUUID();
  return played({
    key: 'cloud-key/azure-app',
    fake,
    target: { tenantId: fake.tenantId, clientId, label: 'agents', baseUrl },
    admin: { ...fake.admin(), baseUrl },
    takes: async (secret) => {
      const app = JSON.parse(secret) as Record<'clientId' | 'clientSecret', string>;
      return fake.takes(app.clientId, app.clientSecret);
    },
    creates: posts('/addPassword'),
    live: () => fake.keys.of(clientId).length,
  });
}

/** Its keys are made here, and uploaded in certificates. */
async function serviceAccount(): Promise<PlayedUpstream> {
  const fake = await FakeGoogleIam.start();
  fake.labels.add('agents');
  fake.lag = 2;
  const baseUrl = fake.server.url;
  const email = 'agents@shop.iam.gserviceaccount.com';
  return played({
    key: 'cloud-key/gcp-service-account',
    fake,
    target: { project: 'shop', serviceAccount: email, label: 'agents', baseUrl },
    admin: { ...fake.secret(baseUrl), baseUrl },
    takes: async (secret) => fake.takes(email, (JSON.parse(secret) as { private_key: string }).private_key),
    creates: posts(':upload'),
    live: () => fake.keys.of(email).length,
  });
}

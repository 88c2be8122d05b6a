import { AttachRolePolicyCommand, CreateRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { sessionOf } from './agent.ts';
import type { World } from './world.ts';

/** Environment of a person who is a responder of the deployment; the audit trail knows them by that name. */
export async function responderEnv(world: World, name: string): Promise<Readonly<Record<string, string>>> {
  const { accountId, clientConfig } = world.stack;
  const iam = new IAMClient(clientConfig);
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: accountId } };
  const RoleName = `on-call-${name}`;
  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [trust] }),
    }),
  );
  const PolicyArn = `arn:aws:iam::${accountId}:policy/rekey-local-responder`;
  await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }));
  iam.destroy();
  const { accessKeyId, secretAccessKey, sessionToken } = await sessionOf(world, Role?.Arn ?? '', name);
  return {
    ...world.env,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  };
}

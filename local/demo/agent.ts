// What an agent needs of its owner before it can speak to Rekey: a role that may read its secret and call the agent API.
import {
  AttachRolePolicyCommand,
  CreateRoleCommand,
  IAMClient,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { OUTPUT } from '../../shared/names.ts';
import { asSuperuser, DATABASE } from './database.ts';
import { databaseCredential } from './declaration.ts';
import type { World } from './world.ts';

/** Keys of a session of a role. */
export interface RoleSession {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** The longest that AWS allows. */
const SESSION_SECONDS = 12 * 3600;

/** A role as the owner of an agent makes it: with the deployment's policy for agents, and the right to read its secrets. */
export async function agentRole(world: World, name: string): Promise<string> {
  const { accountId, region, clientConfig } = world.stack;
  const iam = new IAMClient(clientConfig);
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: accountId } };
  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName: name,
      Path: '/agents/',
      MaxSessionDuration: SESSION_SECONDS,
      AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [trust] }),
    }),
  );
  await iam.send(
    new AttachRolePolicyCommand({
      RoleName: name,
      PolicyArn: `arn:aws:iam::${accountId}:policy/rekey-local-agent`,
    }),
  );
  const read = [
    {
      Effect: 'Allow',
      Action: 'secretsmanager:GetSecretValue',
      Resource: `arn:aws:secretsmanager:${region}:${accountId}:secret:agents/*`,
    },
    {
      Effect: 'Allow',
      Action: 'kms:Decrypt',
      Resource: `arn:aws:kms:${region}:${accountId}:key/*`,
      Condition: { StringEquals: { 'kms:ViaService': `secretsmanager.${region}.amazonaws.com` } },
    },
  ];
  await iam.send(
    new PutRolePolicyCommand({
      RoleName: name,
      PolicyName: 'read-secrets',
      PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: read }),
    }),
  );
  iam.destroy();
  return Role?.Arn ?? '';
}

/** A session of a role, as the platform gives one to a process that runs under it. */
export async function sessionOf(world: World, roleArn: string, name = 'host-1'): Promise<RoleSession> {
  const sts = new STSClient(world.stack.clientConfig);
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: name, DurationSeconds: SESSION_SECONDS }),
  );
  sts.destroy();
  return {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  };
}

/** The address of the deployed agent API. */
export function agentApi(world: World): string {
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.agentApi))?.[1] ?? '';
  return world.stack.apiUrl(apiId);
}

/** Environment of a process that runs as a role: where AWS and the agent API are, its keys, the database and its CA. */
export async function agentEnv(
  world: World,
  roleArn: string,
  caFile: string,
): Promise<Readonly<Record<string, string>>> {
  const { accessKeyId, secretAccessKey, sessionToken } = await sessionOf(world, roleArn);
  return {
    ...world.stack.env,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    AGENT_API: agentApi(world),
    PGHOST: world.server.host,
    PGPORT: String(world.server.port),
    PGDATABASE: DATABASE,
    NODE_EXTRA_CA_CERTS: caFile,
  };
}

/**
 * A credential whose holders are agents that speak to Rekey, as an entry of a declaration; makes the role that owns what its
 * users may do.
 */
export async function agentsCredential(
  { server }: World,
  name: string,
  about: { readonly policy: object; readonly holders: readonly object[] },
): Promise<object> {
  const owner = `${name.replaceAll('-', '_')}_app`;
  await asSuperuser(
    server,
    DATABASE,
    `CREATE ROLE ${owner} NOLOGIN; GRANT ${owner} TO rekey_admin WITH ADMIN OPTION;
     GRANT USAGE ON SCHEMA shop TO ${owner}; GRANT SELECT, INSERT ON shop.orders TO ${owner};`,
  );
  return { ...databaseCredential(server, name, owner, ''), ...about };
}

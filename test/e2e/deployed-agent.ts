import { AttachRolePolicyCommand, CreateRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { AwsV4Signer } from 'aws4fetch';
import type { World } from '../../local/demo/world.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { AgentCaller, Answered } from '../support/agent-api.ts';

/** A role as the owner of an agent makes it, with the policy of the deployment for agents. */
export async function agentRole(world: World, name: string): Promise<string> {
  const iam = new IAMClient(world.stack.clientConfig);
  const { accountId } = world.stack;
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: accountId } };
  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName: name,
      Path: '/agents/',
      AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [trust] }),
    }),
  );
  await iam.send(
    new AttachRolePolicyCommand({
      RoleName: name,
      PolicyArn: `arn:aws:iam::${accountId}:policy/rekey-local-agent`,
    }),
  );
  iam.destroy();
  return Role?.Arn ?? '';
}

/** Calls the deployed agent API as a session of a role. */
export async function callAs(world: World, roleArn: string): Promise<AgentCaller> {
  const sts = new STSClient(world.stack.clientConfig);
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'host-1' }),
  );
  sts.destroy();
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.agentApi))?.[1] ?? '';
  return {
    async call(method, path, body): Promise<Answered> {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const { url, headers } = await new AwsV4Signer({
        url: `${world.stack.apiUrl(apiId)}${path}`,
        method,
        headers: { 'content-type': 'application/json' },
        ...(text === undefined ? {} : { body: text }),
        service: 'execute-api',
        region: world.stack.region,
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        ...(Credentials?.SessionToken === undefined ? {} : { sessionToken: Credentials.SessionToken }),
      }).sign();
      const response = await fetch(url, { method, headers, ...(text === undefined ? {} : { body: text }) });
      const answered = await response.text();
      return {
        status: response.status,
        body: answered === '' ? {} : (JSON.parse(answered) as Record<string, unknown>),
        headers: Object.fromEntries(response.headers),
      };
    },
  };
}

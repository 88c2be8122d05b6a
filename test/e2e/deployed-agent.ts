import { AwsV4Signer } from 'aws4fetch';
import { agentApi, sessionOf } from '../../local/demo/agent.ts';
import type { World } from '../../local/demo/world.ts';
import type { AgentCaller, Answered } from '../support/agent-api.ts';

/** Calls the deployed agent API as a session of a role. */
export async function callAs(world: World, roleArn: string): Promise<AgentCaller> {
  const session = await sessionOf(world, roleArn);
  const api = agentApi(world);
  return {
    async call(method, path, body): Promise<Answered> {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const { url, headers } = await new AwsV4Signer({
        url: `${api}${path}`,
        method,
        headers: { 'content-type': 'application/json' },
        ...(text === undefined ? {} : { body: text }),
        service: 'execute-api',
        region: world.stack.region,
        ...session,
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

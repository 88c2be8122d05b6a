// What `npm run local` gives to somebody who writes an agent: a credential to hold, a role to run as, a database to work on.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { agentApi, agentEnv, agentRole, agentsCredential } from './demo/agent.ts';
import { writeDeclaration } from './demo/declaration.ts';
import { startLoginService } from './demo/login-service.ts';
import type { World } from './demo/world.ts';

const AGENT = 'checkout';
const CREDENTIAL = 'orders-db';
/** Half of the window, which is short so that a rotation can be watched. */
const TTL_SECONDS = 10;

/** Where everything stands that an agent needs, and what to type. */
export interface OwnAgent {
  /** The role that it runs as. */
  readonly principal: string;
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** Makes the agent's role and database role, and writes its declaration, its pact and its environment. */
export async function ownAgent(world: World, caFile: string): Promise<OwnAgent> {
  const { dir, server, stack } = world;
  const principal = await agentRole(world, AGENT);
  const policy = { interval: '30d', window: `${2 * TTL_SECONDS}s`, deadline: '2m', cap: '10m', soak: '1s' };
  const holders = [{ kind: 'client', name: AGENT, principal }];
  const credential = await agentsCredential(world, CREDENTIAL, { policy, holders });
  const declaration = await writeDeclaration(dir, [credential], 'agent.yaml');
  const pact = join(dir, 'pact.yaml');
  const terms = { ttl: `${TTL_SECONDS}s`, staleLimit: `${4 * TTL_SECONDS}s`, uses: 'unreported' };
  const credentials = [{ credential: CREDENTIAL, refresh: 'in-session', ...terms }];
  await writeFile(pact, stringify({ version: 1, agent: AGENT, sessionLimit: '8h', credentials }));
  const service = await startLoginService(server);
  const env = {
    ...(await agentEnv(world, principal, caFile)),
    AGENT,
    SECRET_ID: `agents/${CREDENTIAL}`,
    TTL_SECONDS: String(TTL_SECONDS),
    LOGIN_SERVICE: service.url,
  };
  const file = join(dir, 'agent.env');
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${value}`);
  await writeFile(file, `${exports.join('\n')}\n`, { mode: 0o600 });
  return {
    principal,
    lines: [
      `An agent of your own, by client/README.md#try-it-without-aws. The agent API is ${agentApi(world)}`,
      `(region ${stack.region}, service execute-api); the agent ${AGENT} runs as ${principal}.`,
      '',
      `  npx rekey apply -f ${declaration}    makes ${CREDENTIAL}, which ${AGENT} holds`,
      `  npx rekey pacts apply ${pact}        only for an agent that doesn't register its pact itself`,
      '',
      "In the agent's own shell, for 12 hours: the keys of a session of that role, the agent API, the database:",
      '',
      `  . ${file}`,
    ],
    stop: async () => service.stop(),
  };
}

import type { PactAnswer } from '../../../shared/api/agent-messages.ts';
import { viewOfPact } from '../../../shared/api/messages/pacts.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { parsePact } from '../../../shared/domain/pact.ts';
import type { AgentDeps } from '../../../shared/engine/agents/deps.ts';
import { registerPact as register } from '../../../shared/engine/agents/register-pact.ts';
import type { Call } from '../../http/request.ts';
import type { Done } from '../route.ts';

export async function registerPact(
  { actor, params: [agent], body }: Call,
  deps: AgentDeps,
): Promise<Done<PactAnswer>> {
  const terms = parsePact(body());
  if (terms.agent !== agent) {
    throw new RekeyError(
      'ERR_REQUEST',
      `agent: the pact is of "${terms.agent}", the address of another agent`,
      {
        field: 'agent',
        remedy: 'send the pact to the address of its own agent',
      },
    );
  }
  const { outcome, pact } = await register(deps, { terms, actor, operator: false, dryRun: false });
  return { status: 200, body: { outcome, pact: viewOfPact(pact) } };
}

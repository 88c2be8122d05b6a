import type { Pact } from '../domain/agents.ts';
import { spansOf } from '../domain/authentication.ts';
import { clientSeen, termsOf, type KnownAgent } from '../domain/client-evidence.ts';
import type { Credential } from '../domain/credential.ts';
import type { HolderEvidence } from '../domain/holder-evidence.ts';
import type { ClientHolder } from '../domain/holders.ts';
import type { Rotation } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';

type ClientDeps = Pick<EngineDeps, 'agents' | 'clock'>;

/** The holders of a credential that prove by themselves that they have moved. */
export function clientsOf({ holders }: Pick<Credential, 'holders'>): ClientHolder[] {
  return holders.filter((holder) => holder.kind === 'client');
}

/**
 * What is known of the holders in a rotation's window: what was stored, and what the agents have said until now. Agents
 * are asked anew by whoever decides, since a retirement can't be taken back.
 */
export async function evidenceNow(
  deps: ClientDeps,
  credential: Credential,
  rotation: Rotation,
): Promise<readonly HolderEvidence[] | undefined> {
  const { window, holderEvidence } = rotation;
  const clients = clientsOf(credential);
  if (window === undefined || clients.length === 0) return holderEvidence;
  const now = deps.clock();
  const { opensAt } = window;
  const spans = spansOf(window, now);
  const uses = (span: { from: string; to: string }) => deps.agents.uses(credential.id, span.from, span.to);
  const [acknowledgements, recent, before, families] = await Promise.all([
    deps.agents.acknowledgements({ rotation: rotation.id, opensAt }),
    uses(spans.recent),
    uses(spans.before),
    Promise.all(clients.map(({ name }) => familyOf(deps, name, credential.name))),
  ]);
  const seen = clients.map(({ name }, index) =>
    clientSeen(
      { holder: name, opensAt, now },
      {
        credential: credential.name,
        rotation,
        agents: families[index] ?? [],
        acknowledgements,
        uses: { recent, before },
        spans,
      },
    ),
  );
  return [...(holderEvidence ?? []), ...seen];
}

/** Every agent that has a credential: its holders of kind client and their sub-agents, each once. */
export async function agentsOfCredential(
  deps: Pick<EngineDeps, 'agents'>,
  credential: Credential,
): Promise<KnownAgent[]> {
  const families = await Promise.all(
    clientsOf(credential).map(({ name }) => familyOf(deps, name, credential.name)),
  );
  // A holder that is also somebody's sub-agent is one agent, and stands as the holder.
  const agents = new Map<string, KnownAgent>();
  for (const agent of families.flat())
    if (agent.from === undefined || !agents.has(agent.name)) agents.set(agent.name, agent);
  return [...agents.values()];
}

/** An agent, and whoever gets a credential from it by their pacts, directly or not, each once. */
export async function familyOf(
  { agents }: Pick<EngineDeps, 'agents'>,
  holder: string,
  credential: string,
): Promise<KnownAgent[]> {
  return handedOn(holder, credential, (name) => known(agents, name));
}

/** The pacts of every agent that has a credential: its holders of kind client and their sub-agents. */
export async function pactsOfCredential(
  { agents }: Pick<EngineDeps, 'agents'>,
  credential: Credential,
): Promise<{ readonly name: string; readonly pact: Pact | undefined }[]> {
  const families = await Promise.all(
    clientsOf(credential).map(({ name: holder }) =>
      handedOn(holder, credential.name, async (name) => ({ pact: await agents.pact(name) })),
    ),
  );
  return [...new Map(families.flat().map((each) => [each.name, each])).values()];
}

type Handed<T> = T & { readonly name: string; readonly from?: string };

/** What `look` finds of an agent and of whoever gets a credential from it, level by level. */
async function handedOn<T extends { readonly pact: Pact | undefined }>(
  holder: string,
  credential: string,
  look: (name: string) => Promise<T>,
): Promise<Handed<T>[]> {
  const family = new Map<string, Handed<T>>();
  let next: readonly { name: string; from?: string }[] = [{ name: holder }];
  while (next.length > 0) {
    const found = await Promise.all(next.map(async (each) => ({ ...each, ...(await look(each.name)) })));
    for (const agent of found) family.set(agent.name, agent);
    const handed = found.flatMap(({ name, pact }) =>
      (termsOf(pact, credential)?.delegates ?? []).map((delegate) => ({ name: delegate, from: name })),
    );
    // A cycle is refused at registration; one that slipped through two registrations at once ends here.
    next = [...new Map(handed.map((each) => [each.name, each])).values()].filter(
      ({ name }) => !family.has(name),
    );
  }
  return [...family.values()];
}

async function known(
  agents: EngineDeps['agents'],
  name: string,
): Promise<{ pact: Pact | undefined; sessions: KnownAgent['sessions'] }> {
  const [pact, sessions] = await Promise.all([agents.pact(name), agents.sessions(name)]);
  // Out of service it can say nothing any more: whatever it has open would never be closed.
  return { pact, sessions: pact?.decommissioned === undefined ? sessions : [] };
}

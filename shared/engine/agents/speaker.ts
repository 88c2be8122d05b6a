import type { Acknowledgement, Pact, Session } from '../../domain/agents.ts';
import type { Credential } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { NoticeFacts } from '../../domain/notices.ts';
import { assertInService, clientOf, notTheAgent } from '../../domain/pact.ts';
import { isPrincipal } from '../../domain/principal.ts';
import type { AgentDeps } from './deps.ts';

/** Who calls, and as which agent: what every call of the agent API begins with. */
export interface Speaking {
  readonly agent: string;
  /** ARN that API Gateway authenticated. */
  readonly caller: string;
}

/** An agent with its pact, and the credentials of it that the caller may speak about, by their names. */
export interface Speaker {
  readonly pact: Pact;
  readonly credentials: ReadonlyMap<string, Credential>;
}

/**
 * The agent that calls. What is declared counts, not what its pact was once checked against: an agent that is no holder
 * any more, or under another role, has no say.
 * @throws RekeyError ERR_NOT_FOUND where it has no pact, ERR_FORBIDDEN where the caller is somebody else, or it is out of service.
 */
export async function speakerOf(
  deps: Pick<AgentDeps, 'ledger' | 'agents'>,
  { agent, caller }: Speaking,
): Promise<Speaker> {
  const pact = await deps.agents.pact(agent);
  if (pact === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `the agent "${agent}" has no pact`, {
      field: 'agent',
      remedy: `register it first: PUT /agents/${agent}/pact, or rekey pacts apply`,
    });
  }
  const declared = await declaredOf(
    deps,
    pact.credentials.map(({ credential }) => credential),
  );
  const credentials = new Map(
    [...declared].filter(([, credential]) => {
      const holder = clientOf(credential, agent);
      return holder !== undefined && isPrincipal(caller, holder.principal);
    }),
  );
  if (credentials.size === 0) throw notTheAgent(agent);
  assertInService(pact);
  return { pact, credentials };
}

/** The credentials of these names that the ledger has. */
export async function declaredOf(
  { ledger }: Pick<AgentDeps, 'ledger'>,
  names: readonly string[],
): Promise<ReadonlyMap<string, Credential>> {
  const found = await Promise.all(
    [...new Set(names)].map(async (name) => {
      const id = await ledger.idByName(name);
      const credential = id === undefined ? undefined : await ledger.credential(id);
      return credential === undefined ? [] : [[name, credential] as const];
    }),
  );
  return new Map(found.flat());
}

/**
 * A session that is open.
 * @throws RekeyError ERR_NOT_FOUND where it is unknown, lost for too long or closed
 */
export async function openSessionOf({ agents }: AgentDeps, agent: string, id: string): Promise<Session> {
  const session = await agents.session(agent, id);
  if (session !== undefined && session.closedAt === undefined) return session;
  const what = session === undefined ? 'is unknown' : `was closed at ${session.closedAt}`;
  throw new RekeyError('ERR_NOT_FOUND', `the session ${id} ${what}`, {
    field: 'session',
    remedy: 'open another session',
  });
}

/** What a session's notices follow from: each credential with its rotation and what the session has acknowledged. */
export async function factsOf(
  deps: Pick<AgentDeps, 'ledger' | 'agents'>,
  { credentials, pact }: Speaker,
  session: Pick<Session, 'id'>,
): Promise<ReadonlyMap<string, NoticeFacts>> {
  const facts = await Promise.all(
    [...credentials].map(async ([name, credential]) => {
      const { id, activeRotation } = credential;
      const rotation =
        activeRotation === undefined ? undefined : await deps.ledger.rotation(id, activeRotation);
      const opensAt = rotation?.window?.opensAt;
      const acknowledgement =
        rotation === undefined || opensAt === undefined
          ? undefined
          : await deps.agents.acknowledgement({ rotation: rotation.id, opensAt, session: session.id });
      const holder = clientOf(credential, pact.agent);
      return [name, { credential, holder, rotation, acknowledgement }] as const;
    }),
  );
  return new Map(facts);
}

/** What the session has acknowledged in the windows that are open, and not taken back by what it did since. */
export function standing(facts: ReadonlyMap<string, NoticeFacts>): ReadonlyMap<string, Acknowledgement> {
  return new Map(
    [...facts].flatMap(([name, { acknowledgement }]) =>
      acknowledgement === undefined || acknowledgement.contradictedAt !== undefined
        ? []
        : [[name, acknowledgement] as const],
    ),
  );
}

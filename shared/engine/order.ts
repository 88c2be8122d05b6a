import type { Credential } from '../domain/credential.ts';
import { isUnderWay, obstaclesOf, staggeredWith, type Neighbour, type Obstacle } from '../domain/order.ts';
import type { Turns } from '../ports/ledger.ts';
import { pactsOfCredential } from './clients.ts';
import type { EngineDeps } from './deps.ts';

/** How far masters of masters are followed. */
const MAX_MASTERS = 10;

/** Heads that are read at once. */
const AT_ONCE = 8;

/** Every unfinished rotation is to be looked at before then. */
const END_OF_TIME = '9999-12-31T23:59:59.999Z';

type OrderDeps = Pick<EngineDeps, 'ledger' | 'agents' | 'clock'>;

/** What a start depends on in other credentials. */
export interface Order {
  readonly obstacles: readonly Obstacle[];
  /** The head of a master that stands still: the start is committed only while that is as it was read. */
  readonly unchanged: readonly Credential[];
  /** Those of the agents whose stagger it is in: the start is committed only where nobody else has taken one meanwhile. */
  readonly turns: Turns;
}

/** Credentials under way, by the credential that administers their targets. */
export type Dependants = () => Promise<ReadonlyMap<string, readonly Credential[]>>;

/** What a start depends on; by keys and the index of what is under way, whatever the number of credentials. */
export async function orderOf(
  deps: OrderDeps,
  credential: Credential,
  dependants: Dependants = dependantsUnderWay(deps),
): Promise<Order> {
  const [master, { staggered, turns }, administered] = await Promise.all([
    masterOf(deps, credential),
    staggerBeside(deps, credential),
    dependants().then((found) => found.get(credential.id) ?? []),
  ]);
  const neighbours = {
    master: master && (await neighbour(deps, master)),
    circular: master !== undefined && (await leadsBack(deps, master, credential.id)),
    staggered,
    dependants: await Promise.all(administered.map((each) => neighbour(deps, each))),
  };
  return {
    obstacles: obstaclesOf(neighbours, deps.clock()),
    unchanged: master === undefined || isUnderWay({ credential: master }) ? [] : [master],
    turns,
  };
}

/** Of that, what nothing but a person breaks: the stagger of its agents. */
export async function staggerOf(deps: OrderDeps, credential: Credential): Promise<Order> {
  const { staggered, turns } = await staggerBeside(deps, credential);
  return { obstacles: obstaclesOf({ staggered }, deps.clock()), unchanged: [], turns };
}

/**
 * Reads once, when it is first asked. The index lags: a dependant that has begun a moment ago may be missed, and then a step
 * that meets the login in the middle of its change is repeated (`underMaster`).
 */
export function dependantsUnderWay({ ledger }: OrderDeps): Dependants {
  let reading: ReturnType<Dependants> | undefined;
  return () => (reading ??= read());

  async function read(): ReturnType<Dependants> {
    const refs = await ledger.unfinished(END_OF_TIME);
    const ids = [...new Set(refs.map(({ credentialId }) => credentialId))];
    const found = new Map<string, Credential[]>();
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const some = ids.slice(at, at + AT_ONCE).map(async (id) => {
        const credential = await ledger.credential(id);
        const { adminSecret, activeRotation } = credential ?? {};
        if (credential === undefined || adminSecret === undefined || activeRotation === undefined) return;
        const master = await ledger.idBySecret(adminSecret);
        if (master === undefined || master === id) return;
        found.set(master, [...(found.get(master) ?? []), credential]);
      });
      await Promise.all(some);
    }
    return found;
  }
}

async function neighbour({ ledger }: OrderDeps, credential: Credential): Promise<Neighbour> {
  const { id, activeRotation } = credential;
  return activeRotation === undefined
    ? { credential }
    : { credential, rotation: await ledger.rotation(id, activeRotation) };
}

async function masterOf({ ledger }: OrderDeps, credential: Credential): Promise<Credential | undefined> {
  const { adminSecret } = credential;
  const id = adminSecret === undefined ? undefined : await ledger.idBySecret(adminSecret);
  return id === undefined || id === credential.id ? undefined : ledger.credential(id);
}

/** Administrative logins that rotate each other would wait for each other without end. */
async function leadsBack(deps: OrderDeps, master: Credential, id: string): Promise<boolean> {
  let at: Credential | undefined = master;
  for (let steps = 0; at !== undefined && steps < MAX_MASTERS; steps++) {
    at = await masterOf(deps, at);
    if (at?.id === id) return true;
  }
  return false;
}

/** The credentials that an agent's stagger is over beside this one, with the turns of those agents. */
async function staggerBeside(
  deps: OrderDeps,
  credential: Credential,
): Promise<{ staggered: (Neighbour & { agent: string })[]; turns: Turns }> {
  const { ledger } = deps;
  const pacts = await pactsOfCredential(deps, credential);
  const mates = pacts.flatMap(({ name: agent, pact }) =>
    staggeredWith(pact, credential.name).map((name) => ({ agent, name })),
  );
  // Before the heads: whoever begins after those were read has taken a turn since.
  const turns: Turns = mates.length === 0 ? new Map() : await ledger.turns(mates.map(({ agent }) => agent));
  const found = await Promise.all(
    mates.map(async ({ agent, name }) => {
      const id = await ledger.idByName(name);
      const other = id === undefined ? undefined : await ledger.credential(id);
      return other === undefined || other.id === credential.id
        ? []
        : [{ agent, ...(await neighbour(deps, other)) }];
    }),
  );
  return { staggered: found.flat(), turns };
}

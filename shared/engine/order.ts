import { nextStart } from '../domain/calendar.ts';
import type { Credential } from '../domain/credential.ts';
import { isUnderWay, obstaclesOf, staggeredWith, type Neighbour, type Obstacle } from '../domain/order.ts';
import { pactsOfCredential } from './clients.ts';
import type { EngineDeps } from './deps.ts';

/** How far masters of masters are followed. */
const MAX_MASTERS = 10;

/** Heads that are read at once. */
const AT_ONCE = 8;

/** Heads that one start is held against at most: with what it writes they are one transaction, of 100 items. */
const MAX_UNCHANGED = 90;

/** Every unfinished rotation is to be looked at before then. */
const END_OF_TIME = '9999-12-31T23:59:59.999Z';

type OrderDeps = Pick<EngineDeps, 'ledger' | 'agents' | 'clock'>;

/** What a start depends on in other credentials. */
export interface Order {
  readonly obstacles: readonly Obstacle[];
  /** Heads that it rests on, of credentials that stand still: the start is committed only while they are as they were read. */
  readonly unchanged: readonly Credential[];
}

/** Credentials under way, by the credential that administers their targets. */
export type Dependants = () => Promise<ReadonlyMap<string, readonly Credential[]>>;

/** What a start depends on; by keys and the index of what is under way, whatever the number of credentials. */
export async function orderOf(
  deps: OrderDeps,
  credential: Credential,
  dependants: Dependants = dependantsUnderWay(deps),
): Promise<Order> {
  const [master, staggered, administered] = await Promise.all([
    masterOf(deps, credential),
    staggeredBeside(deps, credential),
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
    unchanged: idle([...staggered, ...(neighbours.master === undefined ? [] : [neighbours.master])]),
  };
}

/** Of that, what nothing but a person breaks: the stagger of its agents. */
export async function staggerOf(deps: OrderDeps, credential: Credential): Promise<Order> {
  const staggered = await staggeredBeside(deps, credential);
  return { obstacles: obstaclesOf({ staggered }, deps.clock()), unchanged: idle(staggered) };
}

/**
 * Reads once, when it is first asked. The index lags: a dependant that has begun a moment ago may be missed, and then a step
 * that meets the login in the middle of its change is repeated (`MasterWatch`).
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

/** Those that stand still; of very many those that are due first, since another planner could start one of them just now. */
function idle(neighbours: readonly Neighbour[]): Credential[] {
  const still = neighbours.filter((each) => !isUnderWay(each)).map(({ credential }) => credential);
  const each = [...new Map(still.map((credential) => [credential.id, credential])).values()];
  const starts = (credential: Credential): string => nextStart(credential) ?? END_OF_TIME;
  return each.toSorted((a, b) => starts(a).localeCompare(starts(b))).slice(0, MAX_UNCHANGED);
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

async function staggeredBeside(
  deps: OrderDeps,
  credential: Credential,
): Promise<(Neighbour & { agent: string })[]> {
  const { ledger } = deps;
  const pacts = await pactsOfCredential(deps, credential);
  const found = await Promise.all(
    pacts.map(async ({ name: agent, pact }) => {
      const names = staggeredWith(pact, credential.name);
      return Promise.all(
        names.map(async (name) => {
          const id = await ledger.idByName(name);
          const other = id === undefined ? undefined : await ledger.credential(id);
          return other === undefined || other.id === credential.id
            ? []
            : [{ agent, ...(await neighbour(deps, other)) }];
        }),
      );
    }),
  );
  return found.flat(2);
}

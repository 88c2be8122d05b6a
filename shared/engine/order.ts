import type { Credential } from '../domain/credential.ts';
import { goesAfter, staggeredWith } from '../domain/order.ts';
import { clientsOf } from './clients.ts';
import type { EngineDeps } from './deps.ts';

/** How far masters of masters are followed. */
const MAX_MASTERS = 10;

/** Why a planned rotation waits for another one now; by keys alone, whatever the number of credentials. */
export async function waitsForAnother(deps: EngineDeps, credential: Credential): Promise<string | undefined> {
  const [master, staggered] = await Promise.all([
    masterOf(deps, credential),
    staggeredBeside(deps, credential),
  ]);
  const circular = master !== undefined && (await leadsBack(deps, master, credential.id));
  return goesAfter({ master, circular, staggered }, deps.clock());
}

async function masterOf({ ledger }: EngineDeps, credential: Credential): Promise<Credential | undefined> {
  const { adminSecret } = credential;
  const id = adminSecret === undefined ? undefined : await ledger.idBySecret(adminSecret);
  return id === undefined || id === credential.id ? undefined : ledger.credential(id);
}

/** Administrative logins that rotate each other would wait for each other without end. */
async function leadsBack(deps: EngineDeps, master: Credential, id: string): Promise<boolean> {
  let at: Credential | undefined = master;
  for (let steps = 0; at !== undefined && steps < MAX_MASTERS; steps++) {
    at = await masterOf(deps, at);
    if (at?.id === id) return true;
  }
  return false;
}

async function staggeredBeside(
  { ledger, agents }: EngineDeps,
  credential: Credential,
): Promise<{ agent: string; credential: Credential }[]> {
  const found = await Promise.all(
    clientsOf(credential).map(async ({ name: agent }) => {
      const names = staggeredWith(await agents.pact(agent), credential.name);
      return Promise.all(
        names.map(async (name) => {
          const id = await ledger.idByName(name);
          const other = id === undefined ? undefined : await ledger.credential(id);
          return other === undefined ? [] : [{ agent, credential: other }];
        }),
      );
    }),
  );
  return found.flat(2);
}

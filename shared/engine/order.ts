import type { Credential } from '../domain/credential.ts';
import { goesAfter, staggeredWith } from '../domain/order.ts';
import { clientsOf } from './clients.ts';
import type { EngineDeps } from './deps.ts';

/** Why a planned rotation waits for another one now; by keys alone, whatever the number of credentials. */
export async function waitsForAnother(deps: EngineDeps, credential: Credential): Promise<string | undefined> {
  const [master, staggered] = await Promise.all([
    masterOf(deps, credential),
    staggeredBeside(deps, credential),
  ]);
  return goesAfter({ master, staggered }, deps.clock());
}

async function masterOf({ ledger }: EngineDeps, credential: Credential): Promise<Credential | undefined> {
  const { adminSecret } = credential;
  const id = adminSecret === undefined ? undefined : await ledger.idBySecret(adminSecret);
  return id === undefined || id === credential.id ? undefined : ledger.credential(id);
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

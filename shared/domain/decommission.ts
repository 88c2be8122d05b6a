import { isKeptUnder } from './bundle.ts';
import type { HeldFamily, Known, Reachable } from './closure.ts';
import type { Holder } from './holders.ts';

/** What an agent has, by what is declared and by the pacts, as its decommissioning goes by it. */
export interface Standing {
  /** Credentials whose declarations name it as a holder; `alone` where nobody else would miss them. */
  readonly held: readonly {
    readonly credential: string;
    readonly kind: Holder['kind'];
    readonly alone: boolean;
  }[];
  readonly families: readonly string[];
  /** Agents that it hands something to. */
  readonly handsTo: readonly string[];
  /** Agents that hand something to it. */
  readonly handedBy: readonly string[];
  /** Roles and users that it runs as: what these may read is none of Rekey's. */
  readonly principals: readonly string[];
}

/** What an agent has; undefined where nothing knows of it. Pure. */
export function standingOf(agent: string, known: Known): Standing | undefined {
  const { credentials, pacts, families } = known;
  const own = <H extends { readonly name: string }>(holders: readonly H[]) =>
    holders.find(({ name }) => name === agent);
  const held = credentials.flatMap(({ name, holders }: Reachable) => {
    const holder = own(holders);
    if (holder === undefined) return [];
    // Keys that Rekey keeps under an authority end with it, whoever holds them.
    const alone = holders.length === 1 && !credentials.some((each) => isKeptUnder(name, each));
    return [{ credential: name, kind: holder.kind, alone }];
  });
  const familyNames = families.filter(({ holders }) => own(holders) !== undefined).map(({ name }) => name);
  const pact = pacts.find((each) => each.agent === agent);
  const handedBy = pacts
    .filter((each) => each.credentials.some(({ delegates }) => delegates.includes(agent)))
    .map((each) => each.agent);
  if (held.length + familyNames.length + handedBy.length === 0 && pact === undefined) return undefined;
  const principals = [...credentials, ...families].flatMap(
    ({ holders }: Pick<HeldFamily, 'holders'>) => own(holders)?.principal ?? [],
  );
  return {
    held,
    families: familyNames,
    handsTo: sorted((pact?.credentials ?? []).flatMap(({ delegates }) => delegates)),
    handedBy: sorted(handedBy),
    principals: sorted(principals),
  };
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].toSorted();
}

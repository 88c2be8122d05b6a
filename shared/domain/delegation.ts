import type { Pact } from './agents.ts';

/** Who gets a credential from whom: each agent with its sub-agents (Z11). */
export type Delegations = ReadonlyMap<string, readonly string[]>;

/** The sub-agents of each agent for one credential, as the pacts say. */
export function delegationsOf(
  pacts: readonly Pick<Pact, 'agent' | 'credentials'>[],
  credential: string,
): Delegations {
  return new Map(
    pacts.flatMap(({ agent, credentials }) =>
      credentials
        .filter((each) => each.credential === credential)
        .map(({ delegates }) => [agent, delegates] as const),
    ),
  );
}

/** A way that leads back to where it began, its first agent named again at its end; undefined where there is none. */
export function cycleIn(delegations: Delegations): readonly string[] | undefined {
  /** Agents from which every way has been gone: none leads back. */
  const done = new Set<string>();
  for (const start of delegations.keys()) {
    const way: { agent: string; left: string[] }[] = [];
    const enter = (agent: string): void => {
      way.push({ agent, left: [...(delegations.get(agent) ?? [])] });
    };
    if (!done.has(start)) enter(start);
    for (let at = way.at(-1); at !== undefined; at = way.at(-1)) {
      const next = at.left.shift();
      if (next === undefined) {
        done.add(at.agent);
        way.pop();
        continue;
      }
      const met = way.findIndex(({ agent }) => agent === next);
      if (met !== -1) return [...way.slice(met).map(({ agent }) => agent), next];
      if (!done.has(next)) enter(next);
    }
  }
  return undefined;
}

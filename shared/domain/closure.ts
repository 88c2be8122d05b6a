import type { Decommissioning, Pact } from './agents.ts';
import type { Credential } from './credential.ts';
import type { Holder } from './holders.ts';
import { isSecret } from './roots.ts';

/** As much of a credential as tells who reaches it. */
export type Reachable = Pick<
  Credential,
  'id' | 'name' | 'type' | 'provider' | 'secretName' | 'secretArn' | 'adminSecret' | 'holders'
> &
  Partial<Pick<Credential, 'target'>>;

/** As much of a pact as tells who hands what on. */
export type Handing = {
  readonly agent: string;
  readonly credentials: readonly Pick<Pact['credentials'][number], 'credential' | 'delegates'>[];
  readonly decommissioned?: Pick<Decommissioning, 'at'>;
};

/** A token family, and who holds it. */
export interface HeldFamily {
  readonly name: string;
  readonly holders: readonly Pick<Holder, 'name' | 'principal'>[];
  /** The secret that its client authenticates with: whoever reads it gets tokens as the client does. */
  readonly clientSecret?: string | undefined;
}

/** What the ledger knows of who reaches what. */
export interface Known<C extends Reachable = Reachable> {
  readonly credentials: readonly C[];
  readonly pacts: readonly Handing[];
  readonly families: readonly HeldFamily[];
}

/** Something that is selected, with every reason, in words. */
export interface Chosen<C extends Reachable = Reachable> {
  readonly credential: C;
  readonly why: readonly string[];
}

/** All that whoever controls an agent may have read, or may make. */
export interface Closure<C extends Reachable = Reachable> {
  readonly chosen: readonly Chosen<C>[];
  /** The agent, and whoever gets something from it, directly or not. */
  readonly agents: readonly string[];
  readonly families: readonly string[];
  /** What nobody knows, in words. */
  readonly unknown: readonly string[];
}

/**
 * What an agent reaches, by what is declared: what it holds, what its pact names and others hand to it; the same of every agent that
 * it hands something to, since it speaks to that one, and of every role that these run as; and what is administered by anything of
 * this, since who reads an administrative secret makes keys with it. Pure; the order of what is known has no part in it.
 */
export function closureOf<C extends Reachable>(agent: string, known: Known<C>): Closure<C> {
  const handed = handedBy(known.pacts);
  const masters = mastersOf(known.credentials);
  const agents = new Set([agent]);
  const reached = new Set<string>();
  let roles: ReadonlySet<string> = new Set();
  const reasons = (credential: C): string[] => [
    ...held(credential, handed)
      .filter(({ by }) => agents.has(by))
      .map(({ why }) => why),
    ...credential.holders
      .filter(({ name, principal }) => !agents.has(name) && principal !== undefined && roles.has(principal))
      .map(({ name, principal }) => `${name} reads it as ${principal}, which one of these runs as`),
    ...(masters.get(credential.adminSecret ?? '') ?? [])
      .filter(({ id }) => id !== credential.id && reached.has(id))
      .map(({ name }) => `${name} administers it, and is reached`),
  ];
  // What is added may reach more: once a round adds nothing, nothing is left.
  for (let size = -1; size !== agents.size + reached.size;) {
    size = agents.size + reached.size;
    for (const { agent: from, credentials } of known.pacts)
      if (agents.has(from))
        for (const { delegates } of credentials) for (const to of delegates) agents.add(to);
    roles = rolesOf(agents, known);
    for (const credential of known.credentials)
      if (!reached.has(credential.id) && reasons(credential).length > 0) reached.add(credential.id);
  }
  const isReached = ({ name, principal }: HeldFamily['holders'][number]): boolean =>
    agents.has(name) || (principal !== undefined && roles.has(principal));
  const chosen = known.credentials
    .filter(({ id }) => reached.has(id))
    .map((credential) => ({ credential, why: [...new Set(reasons(credential))].toSorted() }));
  return {
    chosen,
    agents: [...agents].toSorted(),
    families: known.families
      .filter(({ holders, clientSecret }) => holders.some(isReached) || isClientOf(clientSecret, chosen))
      .map(({ name }) => name)
      .toSorted(),
    unknown: unknownOf(
      agents,
      known,
      (secret) => chosen.some(({ credential }) => credential.adminSecret === secret) && !masters.has(secret),
    ),
  };
}

/** Whether one of these is what a client authenticates with. */
function isClientOf(secret: string | undefined, reached: readonly Chosen[]): boolean {
  return (
    secret !== undefined &&
    reached.some(({ credential: { secretName: name, secretArn: arn } }) => isSecret(secret, { name, arn }))
  );
}

/** Who has a credential, and by what. */
export interface Holding {
  readonly by: string;
  readonly why: string;
}

/** Who has a credential: its holders, and those of the pacts. */
export function held(
  { name, holders }: Pick<Reachable, 'name' | 'holders'>,
  handed: ReadonlyMap<string, readonly Holding[]>,
): Holding[] {
  return [
    ...holders.map((holder) => ({ by: holder.name, why: `${holder.name} is declared as a holder` })),
    ...(handed.get(name) ?? []),
  ];
}

/** Who has what by the pacts: who names a credential, and to whom it is handed on. */
export function handedBy(pacts: readonly Handing[]): ReadonlyMap<string, readonly Holding[]> {
  const all = pacts.flatMap(({ agent, credentials }) =>
    credentials.flatMap(({ credential, delegates }) => [
      { credential, by: agent, why: `the pact of ${agent} names it` },
      ...delegates.map((to) => ({ credential, by: to, why: `${agent} hands it to ${to}` })),
    ]),
  );
  return Map.groupBy(all, ({ credential }) => credential);
}

/** The credentials whose secret an administrative secret is, by how that is declared; where there are any. */
function mastersOf(credentials: readonly Reachable[]): ReadonlyMap<string, readonly Reachable[]> {
  const admins = new Set(credentials.flatMap(({ adminSecret }) => adminSecret ?? []));
  return new Map(
    [...admins].flatMap((admin) => {
      const masters = credentials.filter(({ secretName: name, secretArn: arn }) =>
        isSecret(admin, { name, arn }),
      );
      return masters.length === 0 ? [] : [[admin, masters] as const];
    }),
  );
}

/** The roles that agents run as, as their holders declare. */
function rolesOf(agents: ReadonlySet<string>, { credentials, families }: Known): ReadonlySet<string> {
  return new Set(
    [...credentials, ...families].flatMap(({ holders }) =>
      holders.flatMap(({ name, principal }) =>
        principal !== undefined && agents.has(name) ? [principal] : [],
      ),
    ),
  );
}

function unknownOf(
  agents: ReadonlySet<string>,
  { credentials, pacts }: Known,
  isUndeclared: (secret: string) => boolean,
): string[] {
  const without = [...agents].filter((name) => !pacts.some((pact) => pact.agent === name)).toSorted();
  const admins = new Set(credentials.flatMap(({ adminSecret }) => adminSecret ?? []));
  return [
    ...without.map((name) => `${name} has no pact: whether it hands anything on is not known`),
    ...[...admins]
      .filter(isUndeclared)
      .toSorted()
      .map(
        (secret) =>
          `who reads the administrative secret ${secret} is not known: it is not declared as a root`,
      ),
    'what a role may read beside what is declared is in its IAM policies, and what was made with a key at its upstream is in the logs there',
  ];
}

import { closureOf, handedBy, held, type Chosen, type Known, type Reachable } from './closure.ts';
import type { Credential } from './credential.ts';
import type { Family } from './families.ts';
import { fleetsOf } from './holders.ts';
import { agentsOf } from './policy.ts';
import { isRoot, isSecret } from './roots.ts';

/** Credentials by what is declared of them. */
export type DeclaredSelection =
  | { readonly agent: string; readonly closure?: boolean | undefined }
  | { readonly fleet: string }
  | { readonly provider: string }
  | { readonly everything: true };

/** What an order is for, where credentials aren't named one by one; `knownBy`: what a person has seen (leaver.ts). */
export type Selection = DeclaredSelection | { readonly knownBy: string };

/** As much of a credential as a selection goes by. */
export type Selectable = Reachable & Pick<Credential, 'policy'>;

/** What a selection comes to. */
export interface Selected<C extends Selectable = Selectable> {
  /** The most dangerous first. */
  readonly chosen: readonly Chosen<C>[];
  /** Administrative credentials that belong to it and go once the others are dead, in this order: Rekey ends those with them. */
  readonly later: readonly Chosen<C>[];
  /** Token families that belong to it, which are revoked by name. */
  readonly families: readonly string[];
  readonly unknown: readonly string[];
}

/** The credentials of a selection, by what the ledger knows. Pure. */
export function selectedBy<C extends Selectable>(selection: DeclaredSelection, known: Known<C>): Selected<C> {
  return arranged(matching(selection, known));
}

/** What belongs to a selection, in order: the most dangerous first, and apart what goes once the others are dead. */
export function arranged<C extends Selectable>({
  chosen,
  families,
  unknown,
}: Pick<Selected<C>, 'chosen' | 'families' | 'unknown'>): Selected<C> {
  const administers = ({ credential }: Chosen<C>): boolean =>
    isRoot(credential.type) && chosen.some((other) => isAdministeredBy(other.credential, credential));
  const first = chosen.filter((one) => !administers(one));
  // Where each administers another of them, none can go first.
  const later = first.length === 0 ? [] : chosen.filter(administers);
  return {
    chosen: inOrderOfDanger(first.length === 0 ? chosen : first),
    later: inTurns(inOrderOfDanger(later)),
    families,
    unknown,
  };
}

/** What is administered by another of these goes before it. */
function inTurns<C extends Selectable>(later: readonly Chosen<C>[]): Chosen<C>[] {
  const free = later.filter(
    ({ credential }) => !later.some((other) => isAdministeredBy(other.credential, credential)),
  );
  if (free.length === 0) return [...later];
  return [...free, ...inTurns(later.filter((one) => !free.includes(one)))];
}

function matching<C extends Selectable>(
  selection: DeclaredSelection,
  known: Known<C>,
): Pick<Selected<C>, 'chosen' | 'families' | 'unknown'> {
  const { credentials, pacts, families } = known;
  const named = (isIn: (holder: Known['families'][number]['holders'][number]) => boolean): string[] =>
    families.filter(({ holders }) => holders.some(isIn)).map(({ name }) => name);
  if ('agent' in selection) {
    const { agent, closure } = selection;
    if (closure === true) return closureOf(agent, known);
    const handed = handedBy(pacts);
    const reasons = (credential: C): string[] =>
      held(credential, handed).flatMap(({ by, why }) => (by === agent ? [why] : []));
    return {
      chosen: credentials
        .map((credential) => ({ credential, why: reasons(credential) }))
        .filter(({ why }) => why.length > 0),
      families: named(({ name }) => name === agent),
      unknown: [],
    };
  }
  const all = (isIn: (credential: C) => boolean, why: string) =>
    credentials.filter(isIn).map((credential) => ({ credential, why: [why] }));
  if ('fleet' in selection) {
    const { fleet } = selection;
    const chosen = all(({ holders }) => fleetsOf(holders).includes(fleet), `the fleet ${fleet} holds it`);
    return { chosen, families: named(({ name }) => name === fleet), unknown: [] };
  }
  if ('provider' in selection) {
    const { provider } = selection;
    return {
      chosen: all((one) => one.provider === provider, `it is of ${provider}`),
      families: [],
      unknown: [],
    };
  }
  return { chosen: all(() => true, 'everything'), families: families.map(({ name }) => name), unknown: [] };
}

function isAdministeredBy(credential: Reachable, { id, secretName, secretArn }: Reachable): boolean {
  const { adminSecret } = credential;
  return (
    credential.id !== id &&
    adminSecret !== undefined &&
    isSecret(adminSecret, { name: secretName, arn: secretArn })
  );
}

/**
 * How easily a credential is exploited by whoever has its value, by type: what makes others; what opens an account of a cloud; what is
 * taken from anywhere; and what needs a way into the network first.
 */
const EASE: Readonly<Record<string, number>> = {
  root: 0,
  'database-root': 0,
  'signing-key': 1,
  'certificate-authority': 1,
  'cloud-key': 2,
  database: 4,
};
const FROM_ANYWHERE = 3;

/**
 * The order of an emergency: what is exploited most easily first, then what can write and what is sensitive, then what stops the fewest
 * agents. All begin at once as far as there is room; what is left waits in this order.
 */
export function inOrderOfDanger<C extends Selectable>(chosen: readonly Chosen<C>[]): Chosen<C>[] {
  return chosen.toSorted(({ credential: a }, { credential: b }) => {
    const [of, to] = [rankOf(a), rankOf(b)];
    const at = of.findIndex((rank, index) => rank !== to[index]);
    if (at !== -1) return (of[at] ?? 0) - (to[at] ?? 0);
    return a.name < b.name ? -1 : 1;
  });
}

/**
 * The same order of token families: those whose refresh token makes others first, then those that stop the fewest agents. What their
 * scopes may do is not declared.
 */
export function familiesInOrderOfDanger<F extends Pick<Family, 'name' | 'tokens' | 'terms'>>(
  families: readonly F[],
): F[] {
  const rank = ({ tokens, terms }: F): number[] => [
    tokens?.refreshable === true ? 0 : 1,
    agentsOf(terms.holders),
  ];
  return families.toSorted((a, b) => {
    const [of, to] = [rank(a), rank(b)];
    const at = of.findIndex((each, index) => each !== to[index]);
    if (at !== -1) return (of[at] ?? 0) - (to[at] ?? 0);
    return a.name < b.name ? -1 : 1;
  });
}

function rankOf({ type, provider, policy, holders }: Selectable): number[] {
  return [
    // A certificate makes no others: it goes after the authority that has signed it.
    provider === 'leaf' ? FROM_ANYWHERE : (EASE[type] ?? FROM_ANYWHERE),
    policy.access === 'write' ? 0 : 1,
    policy.sensitivity === 'sensitive' ? 0 : 1,
    agentsOf(holders),
  ];
}

import type { Known } from '../../shared/domain/closure.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import type { Family } from '../../shared/domain/families.ts';
import { knownTo, type Leaver } from '../../shared/domain/leaver.ts';
import { named, namedText } from '../../shared/domain/named.ts';
import { personIn } from '../../shared/domain/person.ts';
import {
  arranged,
  familiesInOrderOfDanger,
  selectedBy,
  type Selected,
  type Selection,
} from '../../shared/domain/selection.ts';
import { witnessesOf } from '../../shared/engine/knowledge.ts';
import { inTime } from '../../shared/engine/patience.ts';
import type { Page } from '../../shared/ports/ledger.ts';
import type { ControlServices } from './route.ts';

/** How long all that is known may take to be read. */
const READ_LIMIT_MS = 8000;

/** What selections are made of. */
export type Sources = Pick<ControlServices, 'ledger' | 'agents' | 'families' | 'readers'>;

/** All that the ledger knows of who reaches what. */
export interface Everything extends Known<Credential> {
  readonly heads: readonly Family[];
}

/** What a selection comes to, with what its token families are. */
export interface SelectedHere extends Selected<Credential> {
  /** The most dangerous first, as their names are. */
  readonly heads: readonly Family[];
}

/**
 * The credentials of a selection, by what the ledger knows now.
 * @throws RekeyError ERR_NOT_FOUND where there are none, ERR_UNAVAILABLE where the ledger doesn't answer.
 */
export async function selectForEmergency(
  sources: Sources,
  selection: Selection,
  limitMs: number = READ_LIMIT_MS,
): Promise<SelectedHere> {
  const selected = await answered(select(sources, selection), limitMs);
  const { chosen, later } = selected;
  if (chosen.length === 0 && later.length === 0) throw nothing(selection, selected);
  return selected;
}

async function select(sources: Sources, selection: Selection): Promise<SelectedHere> {
  const everything = await readEverything(sources);
  const selected = await credentialsOf(sources, selection, everything);
  const heads = familiesInOrderOfDanger(
    everything.heads.filter(({ name }) => selected.families.includes(name)),
  );
  return { ...selected, families: heads.map(({ name }) => name), heads };
}

async function credentialsOf(
  sources: Sources,
  selection: Selection,
  everything: Everything,
): Promise<Selected<Credential>> {
  if (!('knownBy' in selection)) return selectedBy(selection, everything);
  const { credentials, families, unknown } = await leaverOf(sources, selection.knownBy, everything);
  return arranged({
    chosen: credentials.map(({ witness: { credential }, why }) => ({ credential, why })),
    families: families.map(({ name }) => name),
    unknown,
  });
}

/**
 * What comes within the time.
 * @throws RekeyError ERR_UNAVAILABLE where it doesn't; ERR_NOT_FOUND as `work` does
 */
export async function answered<T>(work: Promise<T>, limitMs: number = READ_LIMIT_MS): Promise<T> {
  const told = work.then(
    (value) => () => value,
    (error: unknown) => {
      if (!isRekeyError(error, 'ERR_NOT_FOUND')) throw error;
      return (): never => {
        throw error;
      };
    },
  );
  const answer = await inTime(told, limitMs);
  if (answer !== undefined) return answer();
  throw new RekeyError('ERR_UNAVAILABLE', 'the ledger does not answer: nothing was selected', {
    field: 'select',
    remedy: 'name the credentials by their ids: those are revoked without the ledger',
  });
}

/** Everything that selections go by, page by page. */
export async function readEverything({ ledger, agents, families }: Sources): Promise<Everything> {
  const [credentials, pacts, heads] = await Promise.all([
    all((page) => ledger.list(page)),
    all((page) => agents.pacts(page)),
    all((page) => families.families(page)),
  ]);
  return {
    credentials,
    pacts,
    heads,
    families: heads.map(({ name, terms: { holders, client } }) => ({
      name,
      holders,
      clientSecret: client.secret,
    })),
  };
}

/** What a person knows that works. @throws RekeyError ERR_NOT_FOUND where nobody of that name has ever known anything */
export async function leaverOf(
  sources: Sources,
  person: string,
  { credentials, heads }: Everything,
): Promise<Leaver<Credential>> {
  const leaver = knownTo(person, await witnessesOf(sources, credentials), heads);
  const isKnown = ({ people }: Leaver<Credential>): boolean => people.includes(personIn(person));
  if (isKnown(leaver)) return leaver;
  // What they knew may be long dead: then they are known, and nothing is left to be done.
  const ever = knownTo(person, await witnessesOf(sources, credentials, true), heads);
  if (isKnown(ever)) return leaver;
  throw nobody(person, ever);
}

async function all<T>(read: (page?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let page: string | undefined;
  do {
    const found: Page<T> = await read(page);
    items.push(...found.items);
    page = found.next;
  } while (page !== undefined);
  return items;
}

function nothing(selection: Selection, { families }: Pick<Selected, 'families'>): RekeyError {
  const beside = families.length === 0 ? '' : `; it has the token families ${families.join(', ')}`;
  const none =
    'knownBy' in selection
      ? 'every value that they have seen was replaced since: nothing is left to be revoked'
      : 'correct its name; `rekey list` has every credential with its holders';
  return new RekeyError('ERR_NOT_FOUND', `no credential belongs to this selection${beside}`, {
    field: 'select',
    remedy: families.length === 0 ? none : `rekey revoke ${families.join(' ')}`,
  });
}

function nobody(person: string, { people, unknown }: Pick<Leaver, 'people' | 'unknown'>): RekeyError {
  const known = people.length === 0 ? 'nobody is' : namedText(named(people));
  return new RekeyError('ERR_NOT_FOUND', `nobody called "${person}" is known to have seen a credential`, {
    field: 'select.knownBy',
    remedy: [
      `a name is that of the user or of the session that a person takes a role with, e.g. ada@example.com; known are: ${known}`,
      'whoever Rekey could not see is declared: knownBy in the declaration of the credential',
      ...unknown,
    ].join('; '),
  });
}

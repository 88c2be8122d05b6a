import { MAX_EMERGENCY } from '../../shared/api/messages.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { selectedBy, type Selected, type Selection } from '../../shared/domain/selection.ts';
import { inTime } from '../../shared/engine/patience.ts';
import type { Page } from '../../shared/ports/ledger.ts';
import type { ControlServices } from './route.ts';

/** How long all that is known may take to be read. */
const READ_LIMIT_MS = 8000;

type Sources = Pick<ControlServices, 'ledger' | 'agents' | 'families'>;

/**
 * The credentials of a selection, by what the ledger knows now.
 * @throws RekeyError ERR_NOT_FOUND where there are none, ERR_REQUEST where there are more than one emergency takes, ERR_UNAVAILABLE
 * where the ledger doesn't answer.
 */
export async function selectForEmergency(
  sources: Sources,
  selection: Selection,
  limitMs: number = READ_LIMIT_MS,
): Promise<Selected<Credential>> {
  const known = await inTime(knownTo(sources), limitMs);
  if (known === undefined) {
    throw new RekeyError('ERR_UNAVAILABLE', 'the ledger does not answer: nothing was selected', {
      field: 'select',
      remedy: 'name the credentials by their ids: those are revoked without the ledger',
    });
  }
  const selected = selectedBy(selection, known);
  const { chosen, later } = selected;
  if (chosen.length === 0 && later.length === 0) throw nothing(selected);
  if (chosen.length > MAX_EMERGENCY) throw tooMany(chosen.length);
  return selected;
}

async function knownTo({ ledger, agents, families }: Sources) {
  const [credentials, pacts, held] = await Promise.all([
    all((page) => ledger.list(page)),
    all((page) => agents.pacts(page)),
    all((page) => families.families(page)),
  ]);
  return {
    credentials,
    pacts,
    families: held.map(({ name, terms: { holders, client } }) => ({
      name,
      holders,
      clientSecret: client.secret,
    })),
  };
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

function nothing({ families }: Pick<Selected, 'families'>): RekeyError {
  const beside = families.length === 0 ? '' : `; it has the token families ${families.join(', ')}`;
  return new RekeyError('ERR_NOT_FOUND', `no credential belongs to this selection${beside}`, {
    field: 'select',
    remedy:
      families.length === 0
        ? 'correct its name; `rekey list` has every credential with its holders'
        : `rekey revoke ${families.join(' ')}`,
  });
}

function tooMany(count: number): RekeyError {
  return new RekeyError('ERR_REQUEST', `${count} credentials belong to it, and one request takes 1,000`, {
    field: 'select',
    remedy: 'select by provider or by fleet, in several requests; they may share the incident',
  });
}

import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { UpstreamKey } from './keys.ts';

/** Names of owners that every account has: a key below one tells whose login sees it only where the ledger knows that key. */
const EVERYBODYS: ReadonlySet<string> = new Set(['organization', 'default']);

/** What a login sees of a credential's owner, and what is known of the credential. */
interface Sight {
  readonly name: string;
  /** Where the rights are described that the login needs. */
  readonly page: string;
  /** As `KeyUpstream.owner`. */
  readonly owner: string;
  readonly keys: readonly UpstreamKey[];
  readonly known: readonly CredentialHandle[] | undefined;
}

/**
 * Refuses a login that sees nothing of what owns a credential's keys: to one of another account an upstream says "not found"
 * of a key that lives (docs/adr/032).
 * @throws RekeyError ERR_ADMIN_DENIED
 */
export function assertSees({ name, page, owner, keys, known = [] }: Sight): void {
  const isOwners = ({ id }: UpstreamKey): boolean =>
    !EVERYBODYS.has(owner) || known.some((handle) => handle.id === id);
  if (keys.some(isOwners)) return;
  throw new RekeyError(
    'ERR_ADMIN_DENIED',
    `${name} shows nothing of ${owner} to Rekey's own login, which may be another account's: what it does not show may live`,
    {
      field: 'admin',
      remedy: `put a login of the account into the administrative secret that sees the keys (${page}); one that was there before tells most`,
    },
  );
}

import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { UpstreamKey } from './keys.ts';

/** Names of owners that every account has: a key below one tells whose login sees it only where the ledger knows that key. */
const EVERYBODYS: ReadonlySet<string> = new Set(['organization', 'default']);

/** What a login sees of a credential's owner, and what is known of the credential. */
interface Sight {
  readonly name: string;
  /** As `KeyUpstream.owner`. */
  readonly owner: string;
  readonly keys: readonly UpstreamKey[];
  readonly known: readonly CredentialHandle[] | undefined;
}

/**
 * Refuses a login that sees nothing of what owns a credential's keys: to one of another account an upstream says "not found"
 * of a key that lives (docs/adr/034).
 * @throws RekeyError ERR_ADMIN_DENIED
 */
export function assertSees({ name, owner, keys, known = [] }: Sight): void {
  const isOwners = ({ id }: UpstreamKey): boolean =>
    !EVERYBODYS.has(owner) || known.some((handle) => handle.id === id);
  if (keys.some(isOwners)) return;
  throw new RekeyError(
    'ERR_ADMIN_DENIED',
    `${name} shows Rekey's own login no key of ${owner} that tells whose login it is: what it does not show may live elsewhere`,
    {
      field: 'admin',
      remedy:
        'put the login of before into the administrative secret, or another one of the same account (docs/roots.md, "Another login")',
    },
  );
}

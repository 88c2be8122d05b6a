import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { ProviderContext } from '../provider.ts';
import type { UpstreamKey } from './keys.ts';

/** Names of owners that every account has: a key below one tells whose login sees it only where the ledger knows that key. */
const EVERYBODYS: ReadonlySet<string> = new Set(['organization', 'default']);

/** What a login sees of a credential's owner, and what is known of the credential. */
interface Sight {
  readonly name: string;
  /** As `KeyUpstream.owner`. */
  readonly owner: string;
  readonly keys: readonly Pick<UpstreamKey, 'id'>[];
  readonly known: readonly CredentialHandle[] | undefined;
}

/** Whether one of the keys that a login sees tells that it is of the account of a credential's owner. */
export function sees({ owner, keys, known = [] }: Omit<Sight, 'name'>): boolean {
  return keys.some(({ id }) => !EVERYBODYS.has(owner) || known.some((handle) => handle.id === id));
}

/**
 * Refuses a login that sees nothing of what owns a credential's keys: to one of another account an upstream says "not found"
 * of a key that lives (docs/adr/034).
 * @throws RekeyError ERR_ADMIN_DENIED
 */
export function assertSees({ name, ...sight }: Sight): void {
  const { owner } = sight;
  if (sees(sight)) return;
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

/** Logins that have seen the right account, by attempt: what that ends meanwhile makes none of them a stranger. */
const witnesses = new WeakMap<ProviderContext, Set<string>>();

/** Remembers for the rest of this attempt that a login has seen what tells that it is of the right account. */
export function remember(ctx: ProviderContext, print: string): void {
  witnesses.set(ctx, (witnesses.get(ctx) ?? new Set()).add(print));
}

/** Whether that is remembered of it. */
export function hasSeen(ctx: ProviderContext, print: string): boolean {
  return witnesses.get(ctx)?.has(print) === true;
}

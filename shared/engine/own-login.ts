import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import type { Revocation } from '../domain/evidence.ts';
import { without, type upstream } from './state.ts';

/** What is known of the login that administers itself, of which only its end may take that away from Rekey. */
export interface OwnLogin {
  /** The handle whose value its secret holds; absent where nobody can tell. */
  readonly handle?: CredentialHandle;
  /** It bears this credential's mark, or the ledger knows it: whoever sees it looks at the right account (docs/adr/034). */
  readonly isOurs: boolean;
  /** Why nobody can. */
  readonly doubt?: unknown;
  /** Whether a handle is the login's, or could be. */
  mayBe(handle: CredentialHandle): boolean;
}

/**
 * The login with which Rekey would end a credential that is its own login: the value of its secret, whichever handle has it.
 * A ledger that knows of one more is behind by the move of a label. A copy may be older than whole rotations, and a person may
 * have put back a dead value: then the upstream says whose the value is; never a guess, since a dead login would count as the
 * end of what it was guessed to be.
 */
export async function ownLogin(
  { current, live }: Credential,
  source: Revocation['source'],
  { provider, target, ctx }: Awaited<ReturnType<typeof upstream>>,
): Promise<OwnLogin | undefined> {
  if (current === undefined) return undefined;
  const known = (handle: CredentialHandle, isOurs = true): OwnLogin => ({
    handle,
    isOurs,
    mayBe: ({ id }) => id === handle.id,
  });
  const material = provider.material(await ctx.admin());
  if (fingerprint(provider.secretPart(material)) === current.fingerprint) return known(current.handle);
  const others = without(live, current.handle);
  const moved = others.at(-1);
  if (source === 'ledger' && moved !== undefined) return known(moved);
  try {
    const id = await provider.adoption?.identify(target, material, ctx);
    if (id === undefined) throw untold();
    const listed = (await provider.list?.(target, ctx)) ?? [];
    const found = [...listed, ...others].find((handle) => handle.id === id);
    // What a person has made may carry no mark: it stands in the place of the current one, and dies as that does.
    return found === undefined ? known({ id, generation: current.handle.generation }, false) : known(found);
  } catch (error) {
    return { isOurs: false, doubt: untold(error), mayBe: ({ id }) => id !== current.handle.id };
  }
}

function untold(cause?: unknown): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', "nobody can tell which of its keys is Rekey's own login", {
    remedy:
      'it is tried again, best with the ledger; or revoke all but the one in its secret at the upstream by hand, then that',
    cause,
  });
}

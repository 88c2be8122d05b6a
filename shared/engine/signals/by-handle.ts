import type { Credential, Key } from '../../domain/credential.ts';
import { standingOf } from '../../domain/leak.ts';
import type { CredentialMatch } from '../../domain/signals/decide.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import type { Ledger } from '../../ports/ledger.ts';

/**
 * The credentials one of whose keys the upstream calls so. Heads are gone through, since keys are found by their values only: an
 * upstream seldom tells, and a wrong match must not be possible. A key that was ended before is no longer in a head.
 */
export async function matchesByHandle(
  ledger: Pick<Ledger, 'list' | 'rotation'>,
  signal: Signal,
  handle: string,
): Promise<CredentialMatch[]> {
  const found: CredentialMatch[] = [];
  let page: string | undefined;
  do {
    const { items, next } = await ledger.list(page);
    for (const credential of items) {
      const key = await keyOf(ledger, credential, handle);
      if (key === undefined) continue;
      const standing = standingOf({ ...key, credentialId: credential.id }, credential, tokenOf(signal));
      if (standing !== 'gone')
        found.push({ credential, standing, key: { ...key, credentialId: credential.id } });
    }
    page = next;
  } while (page !== undefined);
  return found;
}

async function keyOf(
  ledger: Pick<Ledger, 'rotation'>,
  credential: Credential,
  handle: string,
): Promise<Key | undefined> {
  const { current, live, activeRotation, id } = credential;
  if (current?.handle.id === handle) return current;
  if (activeRotation === undefined || !live.some((each) => each.id === handle)) return undefined;
  const rotation = await ledger.rotation(id, activeRotation);
  return [rotation?.next, rotation?.old].find((key) => key?.handle.id === handle);
}

import type { Credential, Key } from '../../domain/credential.ts';
import { standingOf } from '../../domain/leak.ts';
import type { CredentialMatch } from '../../domain/signals/decide.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import type { Ledger } from '../../ports/ledger.ts';

/**
 * The credentials one of whose keys the upstream calls so. Heads are gone through, since keys are found by their values only: an
 * upstream seldom tells, and a wrong match must not be possible. What mode overlap has kept is in its head, what was ended is not.
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
  { id, current, live, activeRotation }: Credential,
  name: string,
): Promise<Key | undefined> {
  if (current?.handle.id === name) return current;
  const handle = live.find((each) => each.id === name);
  if (handle === undefined) return undefined;
  // Mode overlap has kept it: the rotation that has made it tells, or the one that has made the current one beside it.
  const telling = new Set(
    [activeRotation, handle.token, current?.versionId].filter((each) => each !== undefined),
  );
  const rotations = await Promise.all([...telling].map((each) => ledger.rotation(id, each)));
  return rotations
    .flatMap((rotation) => [rotation?.next, rotation?.old])
    .find((key) => key?.handle.id === name && key.handle.generation === handle.generation);
}

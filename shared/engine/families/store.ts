import { fromInstant } from '../../domain/clock.ts';
import type { Attempt, Family } from '../../domain/families.ts';
import { agentText, keptOf, keptText, type Kept } from '../../domain/family-secret.ts';
import type { FamilyDeps } from './deps.ts';

/** Milliseconds before a write is tried again, the first time; the calls of AWS try again by themselves before that. */
const PAUSE_MS = 250;

/**
 * Stores what an attempt got, before anything else is done with it: the token that it has spent is gone, and this is the only
 * copy of the next one. Tried until the lease ends. A version that is there already is what counts.
 */
export async function persist(
  deps: Pick<FamilyDeps, 'vault' | 'clock' | 'pause'>,
  family: Family,
  attempt: Attempt,
  got: Kept,
): Promise<Kept> {
  const text = keptText(got);
  for (let pauseMs = PAUSE_MS; ; pauseMs *= 2) {
    try {
      const outcome = await deps.vault.put(family.refreshSecretName, attempt.id, text, 'AWSCURRENT');
      if (outcome === 'stored') return got;
      return (await storedBy(deps, family, attempt.id)) ?? got;
    } catch (error) {
      if (deps.clock() + pauseMs >= fromInstant(attempt.until)) throw error;
      await deps.pause(pauseMs);
    }
  }
}

/** What an attempt has stored, whoever asks; undefined where nothing is there. */
export async function storedBy(
  { vault }: Pick<FamilyDeps, 'vault'>,
  family: Family,
  versionId: string,
): Promise<Kept | undefined> {
  const text = await vault.read(family.refreshSecretName, { versionId });
  return text && keptOf(text, family);
}

/**
 * Gives agents the access token. The label moves from where it is seen, while the ledger still has this attempt: whoever is
 * late, behind another attempt or an emergency, is refused by one or the other.
 * @returns `outrun` where the ledger has it no more
 */
export async function deliver(
  { vault, families }: Pick<FamilyDeps, 'vault' | 'families'>,
  { id, secretName }: Family,
  attempt: Attempt,
  got: Kept,
): Promise<'delivered' | 'outrun'> {
  await vault.put(secretName, attempt.id, agentText(got), 'AWSPENDING');
  const from = currentOf((await vault.describe(secretName))?.versions ?? {});
  if ((await families.family(id))?.attempt?.number !== attempt.number) return 'outrun';
  await vault.promote(secretName, { to: attempt.id, from });
  return 'delivered';
}

function currentOf(versions: Readonly<Record<string, readonly string[]>>): string | undefined {
  return Object.entries(versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
}

import { isRekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import { isJustRefreshed } from '../../domain/family-refresh.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { FamilyMatch } from '../../domain/signals/decide.ts';
import { allOver } from '../each.ts';
import { findTokens, recordLeak, type FoundDeps } from '../families/leak.ts';
import type { FamilyEmergency } from '../families/revoke.ts';

/** What is done about token families: found and noted in the ledger, ended and refreshed by the coordinator, which alone may. */
export interface SignalFamilies extends FoundDeps {
  readonly revoke: (emergency: FamilyEmergency) => Promise<unknown>;
  readonly refresh: (request: { readonly name: string; readonly trigger: Trigger }) => Promise<unknown>;
}

/** The families of which these values are tokens. */
export async function familyMatches(
  families: FoundDeps,
  fingerprints: readonly string[],
): Promise<FamilyMatch[]> {
  const found = await findTokens(families, fingerprints);
  return found.flatMap(({ token, family, standing: { standing } }) =>
    family === undefined || standing === 'gone' ? [] : [{ token, family, standing }],
  );
}

/** Ends families, as `rekey revoke NAME` does; under the same incident that is joined. */
export async function revokeFamilies(
  { revoke }: Pick<SignalFamilies, 'revoke'>,
  names: readonly string[],
  emergency: Omit<FamilyEmergency, 'name'>,
): Promise<void> {
  await allOver(names.map((name) => revoke({ ...emergency, name })));
}

/** A family that can't be refreshed now, and why. */
export interface Unrefreshed {
  readonly match: FamilyMatch;
  readonly why: string;
}

/**
 * Refreshes families whose tokens were found, which is their staged rotation: the token that was found is spent, and agents work on.
 * @throws RekeyError where another try may do it
 */
export async function refreshFamilies(
  { refresh, clock }: Pick<SignalFamilies, 'refresh' | 'clock'>,
  matches: readonly FamilyMatch[],
  trigger: Trigger,
  isWorthAnotherTry: (code: string) => boolean,
): Promise<Unrefreshed[]> {
  const left: Unrefreshed[] = [];
  for (const match of matches) {
    const { family, token } = match;
    if (token.kind === 'refresh' && !family.terms.rotation) {
      left.push({
        match,
        why: `the server of ${family.name} never replaces a refresh token: only a consent does`,
      });
      continue;
    }
    // It is spent already: whoever floods us with it wears out no secret.
    if (isSpent(family, match) && isJustRefreshed(family, clock())) continue;
    try {
      await refresh({ name: family.name, trigger });
    } catch (error) {
      if (!isRekeyError(error) || isWorthAnotherTry(error.code)) throw error;
      left.push({ match, why: error.message });
    }
  }
  return left;
}

function isSpent({ tokens }: Family, { token }: FamilyMatch): boolean {
  return tokens?.versionId !== token.versionId;
}

/** That a token was found, and what of it: in the trail of each family. */
export async function recordFamilies(
  families: FoundDeps,
  matches: readonly FamilyMatch[],
  about: Parameters<typeof recordLeak>[2],
): Promise<void> {
  for (const { token } of matches) await recordLeak(families, token, about);
}

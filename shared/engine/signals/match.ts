import { standingOf } from '../../domain/leak.ts';
import type { CredentialMatch, SignalMatch } from '../../domain/signals/decide.ts';
import type { Names } from '../../domain/signals/settings.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { FoundDeps } from '../families/leak.ts';
import { matchesByHandle } from './by-handle.ts';
import { familyMatches } from './families.ts';

/** What credentials and families are found with. */
export interface MatchDeps {
  readonly ledger: Pick<Ledger, 'byFingerprint' | 'credential' | 'idByName' | 'list' | 'rotation'>;
  readonly families: FoundDeps;
}

/** What a signal is about: by its values, and by a name of the settings. */
export async function matchesOf(
  { ledger, families }: MatchDeps,
  names: Names,
  signal: Signal,
): Promise<SignalMatch[]> {
  const [keys, ofFamilies] = await Promise.all([
    Promise.all(signal.fingerprints.map((each) => ledger.byFingerprint(each))),
    familyMatches(families, signal.fingerprints),
  ]);
  const byValue = await Promise.all(
    keys.flat().map(async (key): Promise<CredentialMatch[]> => {
      const credential = await ledger.credential(key.credentialId);
      const standing = standingOf(key, credential, tokenOf(signal));
      return credential === undefined || standing === 'gone' ? [] : [{ credential, standing, key }];
    }),
  );
  const byHandle = signal.handle === undefined ? [] : await matchesByHandle(ledger, signal, signal.handle);
  const name = signal.subject === undefined ? undefined : ownValue(names, signal.subject);
  const id = name === undefined ? undefined : await ledger.idByName(name);
  const named = id === undefined ? undefined : await ledger.credential(id);
  return [
    ...byValue.flat(),
    ...ofFamilies,
    ...byHandle,
    ...(named === undefined
      ? []
      : [
          {
            credential: named,
            standing: named.adoption === 'observed' ? ('observed' as const) : ('live' as const),
          },
        ]),
  ];
}

/** A name of a prototype maps to nothing. */
function ownValue(names: Readonly<Record<string, string>>, subject: string): string | undefined {
  return Object.hasOwn(names, subject) ? names[subject] : undefined;
}

import { capabilitiesOf } from './capabilities.ts';
import type { Instant } from './clock.ts';
import { bad, ok, type Check } from './diagnosis.ts';
import { someOf, undeclaredRoots, type Administered } from './roots.ts';

/** A credential as it exists at an upstream, whoever made it. Nothing of it is secret. */
export interface UpstreamCredential {
  readonly id: string;
  /** What somebody called it there; absent where it has no name. */
  readonly name?: string | undefined;
  /** Absent where the upstream doesn't tell. */
  readonly createdAt?: Instant | undefined;
  /** Null where it was never used, absent where the upstream doesn't tell. */
  readonly lastUsed?: Instant | null | undefined;
}

/** All that exists at an upstream below what owns a credential there. */
export interface Survey {
  /** Who owns them, as one text: the same for all credentials of that owner. */
  readonly owner: string;
  readonly credentials: readonly UpstreamCredential[];
}

/** What a diagnosis tells of one registered credential. */
export interface Covered {
  /** Ids at its upstream that are its own; absent where nobody could tell. */
  readonly held?: readonly string[] | undefined;
  readonly survey?: Survey | undefined;
}

/** What exists for the owners of registered credentials, and belongs to none of these. `all` are all that are registered. */
export function unregistered(all: readonly Covered[]): Survey[] {
  const held = new Set(all.flatMap((one) => one.held ?? []));
  const owners = new Map<string, Map<string, UpstreamCredential>>();
  for (const { survey } of all) {
    if (survey === undefined) continue;
    const found = owners.get(survey.owner) ?? new Map<string, UpstreamCredential>();
    for (const one of survey.credentials) if (!held.has(one.id)) found.set(one.id, one);
    owners.set(survey.owner, found);
  }
  return [...owners].map(([owner, found]) => ({ owner, credentials: [...found.values()] }));
}

/** So many are told one by one. */
const TOLD = 20;

/** A check for each owner. Where what one credential holds is unknown, nobody can say what belongs to none. */
export function coverageChecks(all: readonly Covered[]): Check[] {
  const surveys = unregistered(all);
  if (surveys.length === 0) return [];
  if (all.some(({ held }) => held === undefined)) {
    const detail = 'unknown until each credential can be diagnosed';
    return [bad('not-checked', 'upstream', 'coverage', detail, 'mend what is said of those first')];
  }
  return surveys.map(({ owner, credentials }) => {
    if (credentials.length === 0) return ok('upstream', owner, 'all that exists there is registered');
    const told = credentials.slice(0, TOLD).map(described);
    const rest = credentials.length > TOLD ? [`and ${credentials.length - TOLD} more`] : [];
    return bad(
      'warn',
      'upstream',
      owner,
      `${credentials.length} that no registered credential has: ${[...told, ...rest].join('; ')}`,
      'adopt what agents use (docs/adoption.md), end the rest there; Rekey touches none of them',
    );
  });
}

function described({ id, name, createdAt, lastUsed }: UpstreamCredential): string {
  const about = [
    ...(name === undefined ? [] : [`"${name}"`]),
    ...(createdAt === undefined ? [] : [`made ${createdAt.slice(0, 10)}`]),
    ...(lastUsed === undefined
      ? []
      : [lastUsed === null ? 'never used' : `last used ${lastUsed.slice(0, 10)}`]),
  ];
  return about.length === 0 ? id : `${id} (${about.join(', ')})`;
}

/** What would need no key at all, where the upstream has such a way. */
export interface Keyless {
  /** What stands in the place of the key, e.g. `Workload Identity Federation`. */
  readonly instead: string;
  /** The page about the upstream. */
  readonly docs: string;
}

/** That no key at all would be needed for a credential of this type and provider; undefined where there is no such way. */
export function keylessOf(type: string, provider: string): Keyless | undefined {
  const instead = capabilitiesOf(type, provider)?.keyless;
  if (instead === undefined) return undefined;
  return { instead, docs: `docs/providers/${type === 'database' ? 'README' : provider}.md` };
}

/** The same in words. */
export function keylessText({ instead, docs }: Keyless): string {
  return `could do without a key: ${instead} (${docs})`;
}

/** The same as a check. */
export function keylessChecks({ type, provider }: { type: string; provider: string }): Check[] {
  const keyless = keylessOf(type, provider);
  return keyless === undefined ? [] : [ok('credential', 'keyless', keylessText(keyless))];
}

/** Whether every administrative secret in use is declared as a root. */
export function rootsCheck(all: readonly Administered[]): Check[] {
  const missing = undeclaredRoots(all);
  const used = all.some(({ admin }) => admin !== '');
  if (missing.length === 0)
    return used ? [ok('upstream', 'roots', 'every administrative secret in use is declared')] : [];
  return [
    bad(
      'warn',
      'upstream',
      'roots',
      `administrative secrets that nobody answers for: ${missing
        .map(({ secret, usedBy }) => `${secret} (used by ${someOf(usedBy)})`)
        .join('; ')}`,
      'declare each under roots: in rekey.yaml, with owner, scope and interval (docs/roots.md)',
    ),
  ];
}

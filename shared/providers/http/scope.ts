import { RekeyError } from '../../domain/errors.ts';

/** What a key may do, as words that compare. */
export type Scope = readonly string[];

/** Whether two scopes allow the same, in whatever order. */
export function isSameScope(one: Scope, other: Scope): boolean {
  return one.length === other.length && one.every((each) => other.includes(each));
}

/**
 * Refuses a key that was made with other rights than its target declares in `field`.
 * @throws RekeyError ERR_REJECTED
 */
export function assertAsDeclared(upstream: string, declared: Scope, made: Scope, field: string): void {
  if (isSameScope(declared, made)) return;
  throw new RekeyError(
    'ERR_REJECTED',
    `${upstream} has made a key that may do ${inWords(made)}, where ${inWords(declared)} is declared; it is ended`,
    {
      field: `target.${field}`,
      remedy: `look whether ${upstream} takes these rights for a key, and who else changes it there`,
    },
  );
}

/** A new key that doesn't show the rights of `field` in time: it is tried again, with another key. */
export function notYetAsDeclared(upstream: string, field: string): RekeyError {
  return new RekeyError(
    'ERR_UNAVAILABLE',
    `${upstream} shows a new key with other rights than are declared`,
    {
      field: `target.${field}`,
      remedy:
        'if it stays so: look whether the administrative login may see rights, and who else changes them',
    },
  );
}

/** Refuses a new key that may do more or less than the old one. @throws RekeyError ERR_REJECTED */
export function assertSameRights(old: Scope, next: Scope): void {
  const lacks = old.filter((each) => !next.includes(each));
  const exceeds = next.filter((each) => !old.includes(each));
  if (lacks.length === 0 && exceeds.length === 0) return;
  throw new RekeyError(
    'ERR_REJECTED',
    `the new key may do something else than the old one: it lacks ${inWords(lacks)} and adds ${inWords(exceeds)}`,
    { field: 'target', remedy: 'declare the rights that the credential shall have, and apply' },
  );
}

function inWords(scope: Scope): string {
  return `[${scope.join(', ')}]`;
}

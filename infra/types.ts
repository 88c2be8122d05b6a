import type { CredentialType } from '../shared/names.ts';

/** Something that each deployed credential type has of its own. */
export type ByType<T> = Readonly<Partial<Record<CredentialType, T>>>;

/** Makes one for each of `types`. */
export function byType<T>(types: readonly CredentialType[], make: (type: CredentialType) => T): ByType<T> {
  return Object.fromEntries(types.map((type) => [type, make(type)]));
}

/** The same types with something else. */
export function mapTypes<T, U>(of: ByType<T>, change: (each: T, type: CredentialType) => U): ByType<U> {
  return byType(Object.keys(of) as CredentialType[], (type) => {
    const each = of[type];
    if (each === undefined) throw new Error(`${type} is not deployed`);
    return change(each, type);
  });
}

/** Entries, typed. */
export function entriesOf<T>(of: ByType<T>): [CredentialType, T][] {
  return Object.entries(of) as [CredentialType, T][];
}

/** An environment variable that maps types to values: `type=value`, with commas between. */
export function settingOf(of: ByType<string>): string {
  return entriesOf(of)
    .map(([type, value]) => `${type}=${value}`)
    .join(',');
}

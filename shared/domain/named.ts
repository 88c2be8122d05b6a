/** A few names, and how many there are beside them. */
export interface Named {
  readonly names: readonly string[];
  readonly more: number;
}

/** So many names stand in a record at most; a fleet may have thousands. */
const MOST = 10;

/** `names` as a record and a person can take them. */
export function named(names: readonly string[]): Named {
  return { names: names.slice(0, MOST), more: Math.max(0, names.length - MOST) };
}

/** `a, b and 3 more`. */
export function namedText({ names, more }: Named): string {
  return names.join(', ') + (more === 0 ? '' : ` and ${more} more`);
}

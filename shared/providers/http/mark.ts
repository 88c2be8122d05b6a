import { RekeyError } from '../../domain/errors.ts';

/** What Rekey writes into the name of a key, so that it finds its own again (provider contract, `token`). */
export interface Mark {
  /** What the credential is called at the upstream. */
  readonly label: string;
  readonly generation: number;
  readonly token: string;
}

/**
 * Its parts are set apart by dots; by underscores where an upstream takes no dots. What stands behind "was" is the name that a
 * person gave a key before it was adopted.
 */
const FORM =
  /^rekey(?<between>[._])(?<label>[a-z0-9-]{1,24})\k<between>(?<generation>\d{1,9})\k<between>(?<token>[A-Za-z0-9-]{32,36})(?:; was (?<former>.+))?$/s;

/** The form of a label: with it a mark has 80 characters at most, which is the shortest limit of names (Pinecone). */
export const LABEL = /^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$/;

/** The name of a key. @throws RekeyError ERR_PROTOCOL where the token is none of Secrets Manager's form */
export function nameOf({ label, generation, token }: Mark): string {
  const name = `rekey.${label}.${generation}.${token}`;
  if (FORM.test(name)) return name;
  throw new RekeyError('ERR_PROTOCOL', 'a token has 32 to 36 letters, digits and hyphens here', {
    field: 'ClientRequestToken',
    remedy: 'rotate with a token as Secrets Manager makes it, a UUID',
  });
}

/** The mark in a name; undefined where it isn't one of ours. */
export function markIn(name: string): Mark | undefined {
  const { label = '', generation = '', token = '' } = FORM.exec(name)?.groups ?? {};
  return label === '' ? undefined : { label, generation: Number(generation), token };
}

/** The mark in a name that Rekey has made. @throws RekeyError ERR_PROTOCOL where it is none */
export function markOf(name: string): Mark {
  const mark = markIn(name);
  if (mark !== undefined) return mark;
  throw new RekeyError('ERR_PROTOCOL', 'a key is made under a name that bears its mark');
}

/** The name of a key that is adopted: the mark before the name that it has. */
export function markedName(mark: Mark, former: string): string {
  return former === '' ? nameOf(mark) : `${nameOf(mark)}; was ${former}`;
}

/** A name without a mark: what a person called the key. */
export function nameWithout(name: string): string {
  const found = FORM.exec(name)?.groups;
  return found === undefined ? name : (found['former'] ?? '');
}

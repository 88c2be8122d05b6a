/** What no shell takes for anything but itself. */
const PLAIN = /^[\w@%:,./][\w@%+=:,./-]*$/;

/** A text as one word for a POSIX shell, whatever is in it: for commands that a person copies. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

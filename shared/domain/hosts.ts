import * as z from 'zod';

/** What the writer of a secret says of where it may be sent: names of hosts, and `*.example` for those below one. */
export const allowedHosts = z.array(z.string().regex(/^(\*\.)?[A-Za-z0-9_:-][A-Za-z0-9._:-]*$/));

/** Names compare without case and final dot (RFC 4343); `*.example` covers every name below it, not itself. */
export function covers(pattern: string, host: string): boolean {
  const [wanted, actual] = [pattern, host].map((name) => name.toLowerCase().replace(/\.$/, ''));
  if (wanted === undefined || actual === undefined) return false;
  return wanted.startsWith('*.')
    ? actual.endsWith(wanted.slice(1)) && actual.length >= wanted.length
    : actual === wanted;
}

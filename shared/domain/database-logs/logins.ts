import type { Instant } from '../clock.ts';
import type { NoLine, PostgresLine } from './postgresql.ts';

/** Somebody logged in, or tried to. */
export interface Login {
  readonly login: string;
  readonly at: Instant;
  readonly outcome: 'worked' | 'refused';
  readonly database?: string;
  readonly address?: string;
  /** What it calls itself: whoever logs in may say anything. */
  readonly application?: string;
}

/**
 * Logins as the lines of one delivery tell of them, in the order of the log. A right password is no login where the same
 * connection is refused for another reason: so a suspended login shows. Of a wrong password the address counts only where
 * the connection was seen to begin there, since the prefix before it may be made up (postgresql.ts).
 */
export function loginsOf(lines: readonly (PostgresLine | NoLine)[]): Login[] {
  // Names that break lines leave pieces, of which the last one is delivered as every refusal is.
  const isWhole = !lines.includes('malformed');
  const found: Login[] = [];
  /** The connections that began, with the place in `found` of the login that each has come to. */
  const open = new Map<string, number | undefined>();
  for (const line of lines) {
    if (typeof line === 'string' || line.kind === 'other') continue;
    if (line.kind === 'received') {
      open.set(line.connection, undefined);
      continue;
    }
    const { kind, connection, ...told } = line;
    if (kind === 'authorized') {
      open.set(connection, found.push({ ...told, outcome: 'worked' }) - 1);
      continue;
    }
    const { isShort, address, ...refusal } = { isShort: undefined, ...told };
    if (isShort === true && !isWhole) continue;
    const place = open.get(connection);
    const before = place === undefined ? undefined : found[place];
    if (place !== undefined && before !== undefined) found[place] = { ...before, outcome: 'refused' };
    else
      found.push({
        ...refusal,
        outcome: 'refused',
        ...(address === undefined || !open.has(connection) ? {} : { address }),
      });
  }
  return found;
}

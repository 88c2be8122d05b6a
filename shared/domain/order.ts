import type { Pact } from './agents.ts';
import { nextStart } from './calendar.ts';
import { fromInstant } from './clock.ts';
import type { Credential } from './credential.ts';

/** How long a rotation that another one goes before is put off each time. */
export const ORDER_SECONDS = 15 * 60;

/** Names of the credentials that `pact` has beside `credential`, where it can change neither of them while it works. */
export function staggeredWith(pact: Pact | undefined, credential: string): string[] {
  const fixed = (pact?.credentials ?? [])
    .filter(({ refresh }) => refresh === 'between-sessions')
    .map((each) => each.credential);
  return fixed.includes(credential) ? fixed.filter((name) => name !== credential) : [];
}

/** What may go before a rotation that is due. */
export interface Neighbours {
  /** The credential that administers its target, where that is registered. */
  readonly master: Credential | undefined;
  /** The master is administered by its own dependant, directly or not: neither goes first. */
  readonly circular?: boolean;
  /** Other credentials of an agent that changes them between its sessions only. */
  readonly staggered: readonly { readonly agent: string; readonly credential: Credential }[];
}

/**
 * Why a planned rotation waits for another one, in words: a master goes before its dependants and never beside them, and
 * an agent that needs a gap between its sessions meets one rotation at a time.
 */
export function goesAfter({ master, circular, staggered }: Neighbours, now: number): string | undefined {
  if (master?.activeRotation !== undefined) return `its administrative login ${master.name} is being rotated`;
  const masterStarts = master === undefined || circular === true ? undefined : nextStart(master);
  if (master !== undefined && masterStarts !== undefined && fromInstant(masterStarts) <= now)
    return `its administrative login ${master.name} is due, and goes first`;
  const other = staggered.find(({ credential }) => credential.activeRotation !== undefined);
  return other === undefined
    ? undefined
    : `${other.agent} changes credentials between its sessions, and ${other.credential.name} is being rotated`;
}

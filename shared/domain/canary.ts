import { createHash } from 'node:crypto';

/**
 * Whether an instance moves first in a rotation. The same for the same session and rotation, and another choice in the
 * next rotation, so that it isn't always the same instances that try what is new. Whoever is in a cohort of some percent
 * is in every larger one.
 */
export function cohortOf(session: string, rotation: string, percent: number): 'canary' | 'rest' {
  return shareOf(session, rotation) < percent / 100 ? 'canary' : 'rest';
}

/** Where an instance stands among all of them in a rotation: from 0 on, below 1. */
export function shareOf(session: string, rotation: string): number {
  return createHash('sha256').update(`${rotation}\n${session}`).digest().readUInt32BE(0) / 2 ** 32;
}

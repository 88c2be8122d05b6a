import type { Instant } from './clock.ts';
import type { CredentialHandle } from './credential.ts';

/**
 * What waits for a person to end something at the upstream, which lets nobody else do it (hard decision 9). Nobody's word
 * ends it: the upstream has to refuse the value.
 */
export interface AwaitedOperator {
  readonly since: Instant;
  /** What is still taken there. */
  readonly handles: readonly CredentialHandle[];
  /** What the person does, and where. */
  readonly byHand: string;
  /** How often the upstream was asked in vain. */
  readonly looks: number;
  /** When somebody has said that it is done and the upstream has agreed: whoever waits looks at once. */
  readonly confirmedAt?: Instant;
}

/** Looks in vain, after which the execution ends and pages again; from then on the schedule looks (hard decision 5). */
export const MAX_OPERATOR_LOOKS = 8;

const FIRST_WAIT_SECONDS = 5 * 60;
const LONGEST_WAIT_SECONDS = 24 * 3600;

/** Time to the next look by itself: each wait is twice as long as the one before, up to a day. */
export function operatorWaitSeconds(looks: number): number {
  return Math.min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** Math.max(0, looks - 1));
}

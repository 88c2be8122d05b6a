import type { Instant } from './clock.ts';
import { RekeyError } from './errors.ts';

/** Evidence of use of a credential at its source (hard decision 8). `unknown` never equals "unused". */
export type Usage =
  | {
      /** Last use that the source shows; null where it shows none. */
      readonly lastSeen: Instant | null;
      readonly observedAt: Instant;
      /** How far the source's view may run behind, in seconds. Unseen means quiet for longer than this. */
      readonly lagSeconds: number;
      /** Open sessions at the source, where it has such a notion. */
      readonly sessions?: number;
      /** Who is logged in with any of the credential's keys; informs, and is no part of a proof (`readers.ts`). */
      readonly clients?: readonly Client[];
    }
  | 'unknown';

/** Sessions at the source that look the same. */
export interface Client {
  /** Whom they are logged in as. */
  readonly user: string;
  /** What they call themselves. */
  readonly application?: string;
  /** Where they come from, where the source shows it; a source may leave out some of very many. */
  readonly addresses?: readonly string[];
}

/** Evidence that a credential no longer works (A2: "confirmation that the old one was deactivated"). */
export interface Deactivation {
  readonly confirmed: boolean;
  readonly method: 'status-read' | 'negative-authentication';
  readonly observedAt: Instant;
  /** What was seen, in words; never material. */
  readonly detail: string;
  /** Sessions that were terminated, where the source has such a notion. */
  readonly sessionsEnded?: number;
  /**
   * Where only a person can end it, and hasn't: what they do at the upstream, and where; no secret in it (hard decision 9,
   * revocation `manual`).
   */
  readonly byHand?: string;
}

/** Whether something lives until a person ends it at the upstream. */
export function awaitsOperator(
  deactivation: Deactivation,
): deactivation is Deactivation & { readonly byHand: string } {
  return !deactivation.confirmed && deactivation.byHand !== undefined;
}

/** The refusal to call dead what lives until a person ends it. */
export function operatorAwaited(...waiting: readonly Pick<Deactivation, 'byHand'>[]): RekeyError {
  const byHand = waiting.flatMap((each) => each.byHand ?? []).join('; ');
  return new RekeyError('ERR_AWAITING_OPERATOR', `only a person can end it at the upstream: ${byHand}`, {
    remedy: byHand,
  });
}

/**
 * Refuses to go on with a deactivation that isn't confirmed: nothing is called ended on it, it is tried again (A2).
 * @throws RekeyError ERR_UNAVAILABLE, ERR_AWAITING_OPERATOR where trying again is in vain until a person has ended it.
 */
export function assertConfirmed(deactivation: Deactivation): void {
  if (deactivation.confirmed) return;
  if (awaitsOperator(deactivation)) throw operatorAwaited(deactivation);
  throw new RekeyError('ERR_UNAVAILABLE', `the deactivation is not confirmed: ${deactivation.detail}`, {
    remedy: 'it is tried again; look at the upstream if this goes on',
  });
}

/** What a revocation found and did; goes into the audit. */
export interface Revocation {
  readonly credentialId: string;
  readonly revokedAt: string;
  /** Where the targets were read: the ledger, or its copy. */
  readonly source: 'ledger' | 'snapshot';
  /** Where the intent was written in time. */
  readonly intent: 'ledger' | 'spool' | 'nowhere';
  /** Up to this generation everything in the handles' slots is dead. */
  readonly generation: number;
  readonly handles: readonly { readonly handle: string; readonly deactivation: Deactivation }[];
}

/** What a tabletop exercise has come to; `npm run tabletop` checks it at its end. */
export interface Outcome {
  /** From GitHub's webhook to the vendor's first refusal of the leaked key. */
  readonly secondsToRevoke: number;
  /** Nobody was asked before that. */
  readonly approvalsBefore: number;
  /** An agent works on with another key. */
  readonly agentsRecovered: boolean;
  /** The other keys worked until the second of two people had approved. */
  readonly heldUntilApproved: boolean;
  readonly heldRevoked: boolean;
  /** Reports that a browser does not show as a page. */
  readonly unreadable: number;
  /** Credentials in the reports, and those whose exposure has both ends. */
  readonly reported: number;
  readonly closed: number;
  /** Who read the secret of the leaked key and is no holder of it. */
  readonly strangers: readonly string[];
  /** What the reports say that no log tells. */
  readonly gaps: number;
  /** Gaps, breaks and forgeries in the chains of the audit. */
  readonly chainFaults: number;
}

/** A leak that takes longer than this is not contained in seconds. */
export const SECONDS_AT_MOST = 30;

/** What an outcome lacks, in words; nothing where it is as it should be. */
export function shortfalls(outcome: Outcome, keys: number): string[] {
  const { secondsToRevoke, approvalsBefore, unreadable, reported, closed, strangers, gaps, chainFaults } =
    outcome;
  const promises: [boolean, string][] = [
    [
      secondsToRevoke <= SECONDS_AT_MOST,
      `the leaked key worked for ${secondsToRevoke} s after the webhook, more than ${SECONDS_AT_MOST}`,
    ],
    [approvalsBefore === 0, 'somebody had to approve the first revocation'],
    [outcome.agentsRecovered, 'agents do not work with a new key'],
    [outcome.heldUntilApproved, 'a key that was to wait for two people was revoked before'],
    [outcome.heldRevoked, 'a key that two people have approved works still'],
    [unreadable === 0, `${unreadable} reports are no page that a browser shows`],
    [reported === keys, `${reported} of ${keys} keys are in a report`],
    [closed === keys, `the exposure of ${keys - closed} keys has no end`],
    [strangers.length > 0, 'the report does not name who read the secret'],
    [gaps > 0, 'the report names no gap, and there is always one: the log of the vendor'],
    [chainFaults === 0, `the audit trail has ${chainFaults} faults`],
  ];
  return promises.flatMap(([kept, lack]) => (kept ? [] : [lack]));
}

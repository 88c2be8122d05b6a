/** What a run of the demo found; `npm run demo -- --json FILE` writes it. */
export interface DemoReport {
  rotation: {
    status: string;
    queries: number;
    authFailures: number;
    permissionFailures: number;
    windowSeconds: number;
    /** Tried at the database itself, after the retirement. */
    oldCredentialRejected: boolean;
  };
  emergency: {
    status: string;
    /** From the audit: the revocation's number in the chain is lower than the replacement's. */
    revokedBeforeIssued: boolean;
    /** From the request to the first login that the database refused. */
    secondsToRevoke: number;
    oldCredentialRejected: boolean;
    /** A login with the replacement was accepted. */
    replacementAccepted: boolean;
  };
  audit: {
    records: number;
    /** Records found in the locked archive. */
    archived: number;
    /** Gaps, breaks and forgeries in the chains, in the ledger and in the archive. */
    gaps: number;
    /** Rotations whose old credential is confirmed dead, of all. */
    confirmed: number;
    rotations: number;
  };
  seconds: number;
}

/** The promises that a report breaks, in words; none where all hold. */
export function brokenPromises({ rotation, emergency, audit }: DemoReport): string[] {
  const promises: [boolean, string][] = [
    [rotation.status === 'completed', `the rotation ended as "${rotation.status}"`],
    [rotation.queries > 0, 'no agent ran a query'],
    [rotation.authFailures === 0, `agents had ${rotation.authFailures} authentication failures`],
    [rotation.permissionFailures === 0, `agents had ${rotation.permissionFailures} permission failures`],
    [rotation.oldCredentialRejected, 'the old credential still works after its retirement'],
    [emergency.status === 'SUCCEEDED', `the emergency ended as "${emergency.status}"`],
    [emergency.revokedBeforeIssued, 'the replacement was issued before the revocation'],
    [emergency.oldCredentialRejected, 'the revoked credential still works'],
    [emergency.replacementAccepted, 'the replacement does not work'],
    [audit.records > 0, 'there is no audit record'],
    [audit.archived === audit.records, `${audit.archived} of ${audit.records} audit records are archived`],
    [audit.gaps === 0, `the audit trail has ${audit.gaps} gaps or breaks`],
    [
      audit.confirmed === audit.rotations,
      `${audit.rotations - audit.confirmed} deactivations are not confirmed`,
    ],
  ];
  return promises.flatMap(([kept, broken]) => (kept ? [] : [broken]));
}

/** One line of the timeline. */
export interface Moment {
  readonly at: string;
  readonly what: string;
}

/** The timeline as text, seconds counted from its first moment. */
export function timeline(moments: readonly Moment[]): string {
  const sorted = [...moments].sort((a, b) => a.at.localeCompare(b.at));
  const start = Date.parse(sorted[0]?.at ?? '');
  return sorted
    .map(({ at, what }) => `  ${((Date.parse(at) - start) / 1000).toFixed(1).padStart(6)} s  ${what}`)
    .join('\n');
}

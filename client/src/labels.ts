import type { Credential } from './credential.ts';

/** What a version is known to be beside its labels. */
export interface Known {
  /** Somebody who must know has said that it was given up. */
  isTombstoned(versionId: string): boolean;
  /** AWSCURRENT was seen to leave it for an older version. */
  isGivenUp(versionId: string): boolean;
}

/**
 * Whether AWSCURRENT has moved back, to a version that is older than the one before. That is what a rollback looks like
 * from outside; Secrets Manager then gives the version that was given up the label AWSPREVIOUS.
 */
export function movedBack(from: Credential, to: Credential): boolean {
  return to.createdAt < from.createdAt;
}

/**
 * What may be tried after the upstream has refused `current`, in this order: pending, which is all that an upstream
 * with a single user takes between setSecret and finishSecret; then previous, which is all that a lagging one takes
 * after finishSecret. A pending version older than the current one is a leftover, and a previous one that is newer was
 * rolled back (hard decision 1).
 */
export function fallbacks(
  current: Credential,
  found: { readonly pending: Credential | undefined; readonly previous: Credential | undefined },
  known: Known,
): Credential[] {
  const { pending, previous } = found;
  const candidates: Credential[] = [];
  if (pending !== undefined && pending.createdAt >= current.createdAt) candidates.push(pending);
  if (previous !== undefined && previous.createdAt <= current.createdAt) candidates.push(previous);
  return candidates.filter(
    ({ versionId }) =>
      versionId !== current.versionId && !known.isTombstoned(versionId) && !known.isGivenUp(versionId),
  );
}

import { CAPABILITIES } from '../../domain/capabilities.ts';
import { fromInstant, toInstant, type Instant } from '../../domain/clock.ts';
import type { IamUser } from './iam.ts';

const NAME = /^rekey-cut-(\w{16,128})-(\d{1,12})$/;

/** The longest life of a session that a user's key can mint (GetSessionToken, GetFederationToken). */
const LONGEST_SESSION_MS = 36 * 3_600_000;

/** An inline policy that cuts off the sessions of a user. */
interface Cut {
  readonly policy: string;
  readonly keyId: string;
  /** Sessions that were issued before are cut off. */
  readonly before: Instant;
}

/**
 * Cuts off every session that was minted with a key of the user until now. They outlive the key, and AWS doesn't tell which
 * key a session came from: what their holders mint with another key meanwhile is cut as well, and they mint again. Once
 * for each key: a late repetition would hit what was minted with the replacement.
 */
export async function cutSessions(user: IamUser, keyId: string, now: number): Promise<void> {
  const cuts = cutsIn(await user.policies());
  for (const { policy } of cuts.filter((cut) => cut.keyId !== keyId && isSpent(cut, now)))
    await user.removePolicy(policy);
  if (cuts.some((cut) => cut.keyId === keyId)) return;
  // A key that is inactive may still mint for as long as that takes to spread.
  const before = Math.ceil(now / 1000) + CAPABILITIES['cloud-key/aws-iam'].revocationDelaySeconds;
  await user.putPolicy(`rekey-cut-${keyId}-${before}`, {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Action: '*',
        Resource: '*',
        // Requests that are signed with an access key itself have no such time, and are not denied.
        Condition: { DateLessThan: { 'aws:TokenIssueTime': toInstant(before * 1000) } },
      },
    ],
  });
}

/** Names of policies that have nothing left to cut: whatever they were for has expired. */
export function spentCuts(policies: readonly string[], now: number): string[] {
  return cutsIn(policies)
    .filter((cut) => isSpent(cut, now))
    .map(({ policy }) => policy);
}

function cutsIn(policies: readonly string[]): Cut[] {
  return policies.flatMap((policy) => {
    const [, keyId, seconds] = NAME.exec(policy) ?? [];
    return keyId === undefined ? [] : [{ policy, keyId, before: toInstant(Number(seconds) * 1000) }];
  });
}

function isSpent({ before }: Cut, now: number): boolean {
  return fromInstant(before) + LONGEST_SESSION_MS < now;
}

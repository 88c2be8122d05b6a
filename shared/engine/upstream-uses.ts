import { callOf, eventTimeOf, type CloudCall, type NoCall } from '../domain/cloudtrail-calls.ts';
import type { Read } from '../domain/cloudtrail-reads.ts';
import { toInstant } from '../domain/clock.ts';
import { DEPLOYMENT, type UpstreamUse } from '../domain/upstream-use.ts';
import type { UpstreamUses } from '../ports/upstream-uses.ts';

/** Finds the credential that a user of IAM, or a secret, is of; undefined where it is none of Rekey's. */
export type OwnerOf = (name: string) => Promise<string | undefined>;

/** For the log: how many records were uses of credentials, how many were news, why the others didn't count. */
export interface UsesObserved {
  readonly uses: number;
  readonly written: number;
  readonly dropped: Readonly<Partial<Record<NoCall | 'unowned', number>>>;
}

/**
 * Keeps what records of CloudTrail, as texts, tell of access keys. Whatever a text holds, it is a call or it is counted, never a
 * failure: only a ledger that doesn't answer fails the batch, which may then be given again.
 */
export async function observeCalls(
  { uses, ownerOf }: { readonly uses: UpstreamUses; readonly ownerOf: OwnerOf },
  records: readonly string[],
  scope: { readonly account: string },
): Promise<UsesObserved> {
  const dropped: Partial<Record<NoCall | 'unowned', number>> = {};
  const drop = (why: NoCall | 'unowned', count = 1): void => {
    dropped[why] = (dropped[why] ?? 0) + count;
  };
  const inputs = records.map(parsed);
  const calls: CloudCall[] = [];
  for (const input of inputs) {
    const call = callOf(input, scope);
    if (typeof call === 'string') drop(call);
    else calls.push(call);
  }
  const owned: UpstreamUse[] = [];
  for (const [user, same] of Map.groupBy(calls, (call) => call.user)) {
    const credentialId = await ownerOf(user);
    if (credentialId === undefined) drop('unowned', same.length);
    else owned.push(...same.map(({ user: _user, ...call }) => ({ ...call, credentialId })));
  }
  const written = await uses.keep(owned);
  // After what it tells: a time counts as covered only once its uses are kept.
  const times = inputs.flatMap((input) => eventTimeOf(input) ?? []);
  if (times.length > 0)
    await uses.cover(
      'cloudtrail',
      DEPLOYMENT,
      times.map((at) => ({ from: toInstant(at), to: toInstant(at + 1) })),
    );
  return { uses: owned.length, written, dropped };
}

/** Keeps each read of a secret of Rekey's as a use, by the minute. Answers how many were news. */
export async function keepReads(
  { uses, ownerOf }: { readonly uses: UpstreamUses; readonly ownerOf: OwnerOf },
  reads: readonly Read[],
): Promise<number> {
  const owned: UpstreamUse[] = [];
  for (const [secret, same] of Map.groupBy(reads, (read) => read.secret)) {
    const credentialId = await ownerOf(secret);
    if (credentialId !== undefined) owned.push(...same.map((read) => readAs(read, credentialId)));
  }
  return uses.keep(owned);
}

/** A read names a version, a label, or neither where it takes the current one: which that was, it doesn't say. */
function readAs({ reader, address }: Read, credentialId: string): UpstreamUse {
  const { principal, name, version, firstSeen, lastSeen } = reader;
  return {
    credentialId,
    source: 'cloudtrail',
    who: name === undefined ? principal : `${name} (${principal})`,
    ...(version === undefined ? {} : { versionId: version }),
    ...(address === undefined ? {} : { address }),
    scope: 'secretsmanager:GetSecretValue',
    outcome: 'worked',
    from: firstSeen,
    to: lastSeen,
  };
}

function parsed(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    return undefined;
  }
}

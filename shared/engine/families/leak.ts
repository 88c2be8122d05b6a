import { toInstant } from '../../domain/clock.ts';
import { isRekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import { outcomeOf, standingOfToken, type KnownToken, type TokenStanding } from '../../domain/family-leak.ts';
import { worstOf, type LeakOutcome } from '../../domain/leak.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { FamilyLedger } from '../../ports/families.ts';
import type { LeakReport } from '../leak.ts';
import { retrying } from '../patience.ts';
import { loadFamily, recordOf } from './deps.ts';
import type { FamilyEmergency } from './revoke.ts';

/** Where tokens are found by their fingerprints, and what is found is recorded. */
export interface FoundDeps {
  readonly families: Pick<FamilyLedger, 'byFingerprint' | 'family' | 'commit'>;
  readonly clock: () => number;
}

/** Parts of the API's function; the coordinator revokes, which alone may. */
export type FamilyLeakDeps = FoundDeps & {
  readonly families: Pick<FamilyLedger, 'records'>;
  readonly revokeFamily: (emergency: FamilyEmergency) => Promise<{ readonly family: Family }>;
};

/** A family with a token that was found. */
export interface FoundToken {
  readonly token: KnownToken;
  /** Also one that is unregistered. */
  readonly family?: Family;
  readonly standing: TokenStanding;
}

/** What is said of a family whose token was found. */
export interface FamilyLeak {
  readonly token: KnownToken;
  readonly family?: Family;
  readonly outcome: Exclude<LeakOutcome, 'not-ours' | 'observed'>;
  /** Why it is dead, or not confirmed. */
  readonly why?: string;
  /** What the server has said of the revocation so far: `revoked`, or `pending`. */
  readonly revocation?: string;
  /** The audit trail could not take the report in time; the emergency has records of its own. */
  readonly unrecorded?: boolean;
}

/** The families with these tokens, once each: by the token of it that counts most. */
export async function findTokens(
  { families, clock }: FoundDeps,
  fingerprints: readonly string[],
): Promise<FoundToken[]> {
  const tokens = await Promise.all(fingerprints.map((each) => families.byFingerprint(each)));
  const found = await Promise.all(
    tokens.flat().map(async (token): Promise<FoundToken> => {
      const family = await families.family(token.familyId);
      const standing = standingOfToken(token, family, clock());
      return { token, standing, ...(family === undefined ? {} : { family }) };
    }),
  );
  return [...Map.groupBy(found, ({ token }) => token.familyId).values()].flatMap((own) => {
    const worst = worstOf(own.map(({ standing }) => outcomeOf(standing)));
    return own.find(({ standing }) => outcomeOf(standing) === worst) ?? [];
  });
}

/**
 * Says of which families a leaked value is a token, and ends those that may work, as `rekey revoke NAME` does: through the
 * coordinator, and before anything is recorded (ADR 009). One that can't be brought to revoke delays no other.
 */
export async function reportFamilyLeak(
  deps: FamilyLeakDeps,
  report: LeakReport,
): Promise<readonly FamilyLeak[]> {
  const found = await findTokens(deps, report.fingerprints);
  return Promise.all(
    found.map(async (each) => {
      const { token, family, standing } = each;
      const about = { token, ...(family === undefined ? {} : { family }) };
      if (standing.standing !== 'live') {
        const leak = { ...about, outcome: outcomeOf(standing), why: standing.why };
        return report.dryRun ? leak : record(deps, report, leak);
      }
      if (report.dryRun || family === undefined) return { ...about, outcome: 'live' };
      return record(deps, report, { ...about, ...(await revoke(deps, report, family)) });
    }),
  );
}

async function revoke(
  { revokeFamily }: FamilyLeakDeps,
  { incidentId, actor, reason }: LeakReport,
  { name, terms }: Family,
): Promise<Pick<FamilyLeak, 'outcome' | 'why' | 'revocation'>> {
  try {
    const trigger: Trigger = { kind: 'emergency', actor, reason };
    const { family } = await revokeFamily({ name, incidentId, trigger });
    const { outcome } = family.incident ?? {};
    if (outcome !== 'unsupported') return { outcome: 'live', revocation: outcome ?? 'pending' };
    const why = `agents have lost it, and its server can't revoke: end there what client ${terms.client.id} was granted`;
    return { outcome: 'not-confirmed', why };
  } catch (error) {
    // Whatever it is: an answer about the others, and about an emergency that has begun, is owed all the same.
    const known = isRekeyError(error) ? error.message : error instanceof Error ? error.name : 'unknown';
    return { outcome: 'not-confirmed', why: `it may work, and could not be revoked: ${known}` };
  }
}

async function record(deps: FamilyLeakDeps, report: LeakReport, leak: FamilyLeak): Promise<FamilyLeak> {
  if (leak.family === undefined || leak.family.status === 'unregistered') return leak;
  const { actor, reason, token, incidentId } = report;
  const { outcome, why, revocation } = leak;
  try {
    await recordLeak(
      deps,
      leak.token,
      {
        trigger: { kind: 'operator', actor, reason },
        correlationId: token,
        incidentId,
        evidence: { outcome, why, revocation },
      },
      async (family) => wasReported(deps, family, report),
    );
    return leak;
  } catch (error) {
    if (outcome === 'dead') throw error;
    return { ...leak, unrecorded: true };
  }
}

/** A repeated report was recorded among the newest records, if at all. */
const LOOK_BACK = 50;

async function wasReported(
  { families }: FamilyLeakDeps,
  family: Family,
  { token }: LeakReport,
): Promise<boolean> {
  for await (const { message, metadata } of families.records(family.id)) {
    if (message === 'leak-reported' && metadata.correlation_uid === token) return true;
    if (metadata.sequence <= family.seq - LOOK_BACK) break;
  }
  return false;
}

/** That a token was found, in the trail of its family. */
export async function recordLeak(
  { families, clock }: FoundDeps,
  found: KnownToken,
  about: {
    readonly trigger: Trigger;
    readonly correlationId: string;
    readonly incidentId: string;
    readonly evidence: Readonly<Record<string, unknown>>;
  },
  isRecorded?: (family: Family) => Promise<boolean>,
): Promise<void> {
  await retrying(async () => {
    const before = await loadFamily({ families }, found.familyId);
    if (isRecorded !== undefined && (await isRecorded(before))) return;
    await families.commit({
      before,
      after: before,
      records: [
        {
          ...recordOf({ clock }, before, 'leak-reported', about.trigger, {
            ...about,
            evidence: { ...aboutToken(found), ...about.evidence },
          }),
          time: toInstant(clock()),
          oldFingerprint: found.fingerprint,
        },
      ],
    });
  });
}

/** What a record says of a token that was found: a report has the exposure of it by its version. */
export function aboutToken({ kind, versionId }: KnownToken): {
  token: KnownToken['kind'];
  versionId: string;
} {
  return { token: kind, versionId };
}

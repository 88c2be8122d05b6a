import { toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import type { Deactivation } from '../domain/evidence.ts';
import { lastKnown, standingOf, type KnownKey, type LeakOutcome, type Standing } from '../domain/leak.ts';
import { startOnce } from './begin-emergency.ts';
import type { EngineDeps } from './deps.ts';
import { heirOf, type ByHandDeps } from './heir.ts';
import { retrying } from './patience.ts';
import { describeHandle, loadCredential, upstream } from './state.ts';

/** A handle of a credential. */
export interface HandleRef {
  readonly credentialId: string;
  readonly handle: CredentialHandle;
}

/** Parts of the API's function; the upstream is asked by one that may. */
export type LeakDeps = Pick<EngineDeps, 'workflow' | 'clock'> &
  ByHandDeps & {
    /** What the upstream shows of a handle that was ended. @throws RekeyError where nobody can tell */
    readonly deactivation: (ref: HandleRef) => Promise<Deactivation>;
  };

/** A value that was found somewhere, by the fingerprints under which it may be known. */
export interface LeakReport {
  readonly fingerprints: readonly string[];
  readonly incidentId: string;
  readonly reason: string;
  readonly actor: string;
  /** Whether what is revoked is replaced. */
  readonly replace: boolean;
  /** Becomes the id of the emergency: the same report again joins it. */
  readonly token: string;
  /** Only says what it is; nothing is revoked or recorded. */
  readonly dryRun: boolean;
}

/** One key that the value is, or was. */
export interface LeakMatch {
  readonly key: KnownKey;
  /** Its credential; once that is no longer registered, who has its users now, if anybody. */
  readonly credential?: Credential;
  readonly outcome: Exclude<LeakOutcome, 'not-ours'>;
  /** What the upstream showed, where it was asked. */
  readonly deactivation?: Deactivation;
  /** Why it is not confirmed. */
  readonly why?: string;
  /** The audit trail could not take the report in time; the emergency has records of its own. */
  readonly unrecorded?: boolean;
}

interface Found {
  readonly key: KnownKey;
  readonly credential?: Credential;
  /** The head of a credential that is no longer registered. */
  readonly former?: Credential;
  readonly standing: Standing;
}

/**
 * Says what a leaked value is, and ends it where it may work: by the emergency of its credential, which is started before
 * anything else is asked or recorded (ADR 009). What was ended before is looked at once more at its upstream; what nobody
 * can confirm is never called dead. Nothing is kept of a value that is not Rekey's.
 * @throws RekeyError ERR_CONFLICT where the token has started another emergency
 */
export async function reportLeak(deps: LeakDeps, report: LeakReport): Promise<readonly LeakMatch[]> {
  const found = await find(deps, report);
  const live = found.filter(({ standing }) => standing === 'live');
  const begun = live.length > 0 && !report.dryRun;
  if (begun) await startEmergency(deps, report, live);
  return Promise.all(
    found.map(async (each) => {
      const match = await judge(deps, each);
      return report.dryRun ? match : record(deps, report, match, begun);
    }),
  );
}

async function find(deps: LeakDeps, { fingerprints, token }: LeakReport): Promise<Found[]> {
  const keys = await Promise.all(fingerprints.map((each) => deps.ledger.byFingerprint(each)));
  const found = await Promise.all(keys.flat().map((key) => place(deps, key, token)));
  return found.filter((each) => !found.some((other) => saysMore(other, each)));
}

/**
 * Where a key stands. One of a credential that is no longer registered is looked for with whoever has its login by now: it can be asked there, and its report joins that trail. Nothing is revoked for it: what works
 * of its heir has a key of its own.
 */
async function place(deps: LeakDeps, key: KnownKey, token: string): Promise<Found> {
  const credential = await deps.ledger.credential(key.credentialId);
  if (credential !== undefined) return { key, credential, standing: standingOf(key, credential, token) };
  const former = await deps.ledger.unregistered(key.credentialId);
  const heir = former && (await heirOf(deps, former, [key.handle]))?.credential;
  return {
    key,
    standing: heir === undefined ? 'gone' : 'ended',
    ...(former === undefined ? {} : { former }),
    ...(heir === undefined ? {} : { credential: heir }),
  };
}

/** Whether a former credential's key is known to its heir as well, whose answer is about the present. */
function saysMore(other: Found, { key, former, credential }: Found): boolean {
  return (
    former !== undefined &&
    other.former === undefined &&
    other.credential !== undefined &&
    other.credential.id === credential?.id &&
    other.key.fingerprint === key.fingerprint &&
    other.key.handle.id === key.handle.id
  );
}

async function startEmergency(
  deps: LeakDeps,
  { token, incidentId, reason, actor, replace }: LeakReport,
  live: readonly Found[],
): Promise<void> {
  if (live.some((each) => isReplacementOf(token, each))) {
    throw new RekeyError(
      'ERR_CONFLICT',
      'this idempotency key has started an emergency before this value was made',
      {
        field: 'Idempotency-Key',
        remedy: 'report the value with a fresh key: nothing was revoked by this request',
      },
    );
  }
  const types = new Map(live.map(({ key, credential }) => [key.credentialId, credential?.type]));
  await startOnce(deps.workflow, token, {
    incidentId,
    reason,
    actor,
    startedAt: toInstant(deps.clock()),
    replace,
    credentials: [...types].map(([credentialId, type]) => ({
      credentialId,
      ...(type === undefined ? {} : { type }),
    })),
  });
}

/** Whether the emergency of this token made the key: starting it again would revoke nothing. */
function isReplacementOf(token: string, { key, credential }: Found): boolean {
  const { incident } = credential ?? {};
  return incident?.execution === token && key.handle.generation > incident.generation;
}

async function judge(deps: LeakDeps, { standing, former, ...of }: Found): Promise<LeakMatch> {
  switch (standing) {
    case 'live':
    case 'observed':
      return { ...of, outcome: standing };
    case 'gone':
      return {
        ...of,
        outcome: 'not-confirmed',
        why: `its credential is no longer registered, so that Rekey can neither ask nor revoke; ${lastKnown(of.key, former)}`,
      };
    case 'ended': {
      const { handle } = of.key;
      return { ...of, ...(await askUpstream(deps, of.credential?.id ?? of.key.credentialId, handle)) };
    }
  }
}

async function askUpstream(
  deps: LeakDeps,
  credentialId: string,
  handle: CredentialHandle,
): Promise<Pick<LeakMatch, 'outcome' | 'deactivation' | 'why'>> {
  try {
    const deactivation = await deps.deactivation({ credentialId, handle });
    return deactivation.confirmed
      ? { outcome: 'dead', deactivation }
      : { outcome: 'not-confirmed', deactivation, why: deactivation.detail };
  } catch (error) {
    // Whatever it is: an answer about the others, and about an emergency that has begun, is owed all the same.
    const known = isRekeyError(error) ? error.message : error instanceof Error ? error.name : 'unknown';
    return { outcome: 'not-confirmed', why: `the upstream could not be asked: ${known}` };
  }
}

/** That the value was found, by whom, and what it was. An emergency that has `begun` is told of whatever fails here. */
async function record(
  deps: LeakDeps,
  report: LeakReport,
  match: LeakMatch,
  begun: boolean,
): Promise<LeakMatch> {
  if (match.credential === undefined) return match;
  try {
    await retrying(() => commitReport(deps, report, match));
    return match;
  } catch (error) {
    if (!begun) throw error;
    return { ...match, unrecorded: true };
  }
}

async function commitReport(deps: LeakDeps, report: LeakReport, match: LeakMatch): Promise<void> {
  const { key, outcome, deactivation, why } = match;
  const before = await loadCredential(deps, match.credential?.id ?? key.credentialId);
  if (await isRecorded(deps, before, report, key)) return;
  await deps.ledger.commit({
    before,
    after: before,
    records: [
      {
        action: 'leak-reported',
        time: toInstant(deps.clock()),
        trigger: { kind: 'operator', actor: report.actor, reason: report.reason },
        correlationId: report.token,
        incidentId: report.incidentId,
        oldFingerprint: key.fingerprint,
        oldHandle: describeHandle(key.handle),
        evidence: { outcome, deactivation, why },
      },
    ],
  });
}

/** A repeated report was recorded among the newest records, if at all. */
const LOOK_BACK = 50;

async function isRecorded(
  deps: LeakDeps,
  { id, seq }: Credential,
  { token }: LeakReport,
  { fingerprint }: KnownKey,
): Promise<boolean> {
  for await (const { message, metadata, entity } of deps.ledger.records(id, Math.max(1, seq - LOOK_BACK))) {
    const same = metadata.correlation_uid === token && entity.data.old_fingerprint === fingerprint;
    if (same && message === 'leak-reported') return true;
  }
  return false;
}

/**
 * Asks the upstream about a handle that was ended. It only looks, so that whatever is in a reused slot stays as it is
 * (hard decision 2).
 * @throws RekeyError ERR_UNAVAILABLE where the upstream can't tell or doesn't answer
 */
export async function deactivationOf(
  deps: EngineDeps,
  { credentialId, handle }: HandleRef,
): Promise<Deactivation> {
  const credential = await loadCredential(deps, credentialId);
  const { provider, target, ctx } = await upstream(deps, credential);
  if (provider.deactivation === undefined) {
    throw new RekeyError('ERR_UNAVAILABLE', `${credential.provider} can't tell whether it is ended`, {
      remedy: 'look at the upstream by hand',
    });
  }
  return provider.deactivation(target, handle, ctx);
}

import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import { RekeyError } from './errors.ts';
import type {
  Attempt,
  AttemptKind,
  Family,
  FamilyEnd,
  FamilyIncident,
  FamilyTerms,
  TokensHeld,
  Trouble,
} from './families.ts';
import type { Trigger } from './rotation.ts';
import { Unspent } from './token-answer.ts';

/** Secrets Manager takes one new version in ten minutes for good; faster, and it runs out of versions. */
const LEAST_BETWEEN_SECONDS = 600;

/** The shortest life of an access token that leaves agents time to read the next one. */
export const SHORTEST_LIFE_SECONDS = 900;

/** What is assumed of an access token whose life the server doesn't tell. */
const ASSUMED_LIFE_SECONDS = 3600;

/** A refresh token that a server doesn't rotate is to be replaced by a new consent after so long (C2). */
export const UNROTATED_DAYS = 7;

/** Longer than a run of the coordinator lasts: whoever held the lease is dead by its end. */
const LONGEST_LEASE_SECONDS = 120;

/** Longer than one family takes in ordinary work. */
const SHORTEST_LEASE_SECONDS = 20;

/** Seconds until the next attempt, by failures so far: at once after the first, while a grace of the server may last. */
const AGAIN_AFTER = [0, 60, 120, 300, 600] as const;

/** The same where nothing will change by itself. */
const REFUSED_AGAIN_AFTER_SECONDS = 900;

/**
 * How long nobody else may spend the token of whoever has begun. Where the server takes a spent token once more, who comes
 * after one that died has to be there within half of that time; where it doesn't, or not for long
 * enough, nobody is in a hurry.
 */
export function leaseSeconds({
  rotation,
  graceSeconds,
}: Pick<FamilyTerms, 'rotation' | 'graceSeconds'>): number {
  if (rotation && graceSeconds < SHORTEST_LEASE_SECONDS) return LONGEST_LEASE_SECONDS;
  const half = Math.floor(graceSeconds / 2);
  return Math.min(LONGEST_LEASE_SECONDS, Math.max(SHORTEST_LEASE_SECONDS, half));
}

/** When tokens are refreshed: at half of the access token's life, never at the moment of need. */
export function refreshAt({
  refreshedAt,
  expiresAt,
}: Pick<TokensHeld, 'refreshedAt' | 'expiresAt'>): Instant {
  const life = (fromInstant(expiresAt) - fromInstant(refreshedAt)) / 1000;
  return plusSeconds(refreshedAt, Math.max(life / 2, Math.min(life, LEAST_BETWEEN_SECONDS)));
}

/** When somebody should consent again, since the refresh token has been the same for too long; never where there is none. */
export function consentDueAt({ refreshable, rotatedAt }: TokensHeld): Instant | undefined {
  return refreshable ? plusSeconds(rotatedAt, UNROTATED_DAYS * 86_400) : undefined;
}

/** Whether it was refreshed so lately that another time wears out its secrets. */
export function isJustRefreshed({ tokens }: Pick<Family, 'tokens'>, now: number): boolean {
  return tokens !== undefined && now < fromInstant(tokens.refreshedAt) + LEAST_BETWEEN_SECONDS * 1000;
}

/** What the coordinator has to do for a family now. */
export type FamilyStep =
  | { readonly kind: 'rest' }
  /** Somebody else is at it. */
  | { readonly kind: 'wait'; readonly until: Instant }
  /** Whoever was at it is dead: what they got may be stored. */
  | { readonly kind: 'settle'; readonly attempt: Attempt }
  | { readonly kind: 'obtain'; readonly how: 'refresh' | 'own' }
  /** What an emergency has begun isn't complete at the server. */
  | { readonly kind: 'revoke' }
  /** Its owner is to be told that consent is due. */
  | { readonly kind: 'tell' };

/** Decides that. `forced`: somebody asks for a refresh now, due or not. */
export function nextStep(family: Family, now: number, forced = false): FamilyStep {
  const { attempt, incident, trouble } = family;
  const isPast = (instant: Instant): boolean => fromInstant(instant) <= now;
  if (family.status === 'unregistered') return { kind: 'rest' };
  if (incident !== undefined && incident.pending.length > 0) {
    return forced || isPast(incident.again ?? incident.since) ? { kind: 'revoke' } : { kind: 'rest' };
  }
  if (attempt !== undefined) {
    return isPast(attempt.until) ? { kind: 'settle', attempt } : { kind: 'wait', until: attempt.until };
  }
  if (family.status === 'consent-needed' || family.paused !== undefined) return { kind: 'rest' };
  if (isConsentDue(family, now)) return { kind: 'tell' };
  const isDue = forced || isPast(trouble?.notBefore ?? dueAt(family));
  const how = family.terms.grant === 'client_credentials' ? 'own' : 'refresh';
  return isDue ? { kind: 'obtain', how } : { kind: 'rest' };
}

/** When the coordinator looks at a family again; undefined where only a person can bring that about. */
export function nextFamilyLook(family: Family): Instant | undefined {
  const { attempt, incident, status, tokens, trouble } = family;
  if (status === 'unregistered') return undefined;
  if (incident !== undefined && incident.pending.length > 0) return incident.again ?? incident.since;
  if (attempt !== undefined) return attempt.until;
  if (status === 'consent-needed' || family.paused !== undefined) return undefined;
  const due = trouble?.notBefore ?? dueAt(family);
  const consent = tokens && family.dueTold !== tokens.rotatedAt ? consentDueAt(tokens) : undefined;
  return consent !== undefined && consent < due ? consent : due;
}

function dueAt({ tokens, registeredAt }: Family): Instant {
  return tokens === undefined ? registeredAt : refreshAt(tokens);
}

function isConsentDue({ tokens, dueTold }: Family, now: number): boolean {
  const due = tokens && consentDueAt(tokens);
  return due !== undefined && fromInstant(due) <= now && dueTold !== tokens?.rotatedAt;
}

/** The family with an attempt that begins: the next number, and the lease. */
export function withAttempt(
  family: Family,
  { id, kind, trigger, now }: { id: string; kind: AttemptKind; trigger: Trigger; now: number },
): Family {
  const since = toInstant(now);
  return {
    ...family,
    attempts: family.attempts + 1,
    attempt: {
      number: family.attempts + 1,
      id,
      kind,
      since,
      until: plusSeconds(since, leaseSeconds(family.terms)),
      trigger,
      lost: kind === 'refresh' ? (family.trouble?.lost ?? []) : [],
    },
  };
}

/** What came of an attempt, without the tokens themselves. */
export interface Got {
  readonly versionId: string;
  readonly fingerprint: string;
  readonly refreshable: boolean;
  readonly at: Instant;
  readonly expiresAt: Instant;
  readonly scope?: string | undefined;
}

/** Since when, and until when, an access token lives that was got at `now`. */
export function lifeOf(
  expiresInSeconds: number | undefined,
  now: number,
): { at: Instant; expiresAt: Instant } {
  const at = toInstant(now);
  return { at, expiresAt: plusSeconds(at, expiresInSeconds ?? ASSUMED_LIFE_SECONDS) };
}

/** @throws RekeyError ERR_POLICY where a family could not live on what a server has given */
export function assertKeepable(
  { grant }: Pick<FamilyTerms, 'grant'>,
  { refreshable, expiresInSeconds }: { refreshable: boolean; expiresInSeconds: number | undefined },
): void {
  if (grant === 'authorization_code' && !refreshable) {
    throw new RekeyError('ERR_POLICY', 'the server gave no refresh token with the consent', {
      field: 'scopes',
      remedy:
        'ask for one as that server wants it, e.g. with the scope offline_access, and let the client have the grant refresh_token there',
    });
  }
  if (expiresInSeconds === undefined || expiresInSeconds >= SHORTEST_LIFE_SECONDS) return;
  throw new RekeyError('ERR_POLICY', `access tokens of this server live ${expiresInSeconds} seconds`, {
    field: 'server',
    remedy:
      `configure ${SHORTEST_LIFE_SECONDS} seconds or more there: ` +
      'Secrets Manager takes no new version more often than every ten minutes for good',
  });
}

/** Seconds that such an access token lives, where they are too few: agents then fail until the next refresh is due. */
export function shortLifeOf({
  refreshedAt,
  expiresAt,
}: Pick<TokensHeld, 'refreshedAt' | 'expiresAt'>): number | undefined {
  const seconds = (fromInstant(expiresAt) - fromInstant(refreshedAt)) / 1000;
  return seconds < SHORTEST_LIFE_SECONDS ? seconds : undefined;
}

/** The family once what `attempt` got is stored. */
export function withTokens(family: Family, attempt: Attempt, got: Got): Family {
  const { tokens: before } = family;
  const isSame = attempt.kind === 'refresh' && before?.fingerprint === got.fingerprint;
  const { at, ...held } = got;
  return {
    ...family,
    status: 'active',
    needs: undefined,
    attempt: undefined,
    trouble: undefined,
    incident: undefined,
    ended: endOf(family),
    tokens: {
      ...held,
      refreshedAt: at,
      rotatedAt: isSame ? before.rotatedAt : at,
      consentedAt: attempt.kind === 'refresh' && before !== undefined ? before.consentedAt : at,
      consentedBy: consenterOf(attempt, before),
      earlier: before && livingBefore(before, at),
      replaced: before && replacedBy(attempt, before),
    },
  };
}

function consenterOf({ kind, trigger }: Attempt, before: TokensHeld | undefined): string | undefined {
  if (kind === 'refresh') return before?.consentedBy;
  return kind === 'consent' ? trigger.actor : undefined;
}

/** What is remembered of an emergency that is over once somebody consents again. */
function endOf({ incident, ended }: Family): FamilyEnd | undefined {
  if (incident === undefined || incident.outcome === 'none') return ended;
  // Of what one of them has left unconfirmed the next one says nothing.
  const outcome = ended?.outcome === 'unsupported' ? 'unsupported' : (incident.outcome ?? 'unsupported');
  const { id, since, consentedAt } = incident;
  return { id, since, consentedAt, outcome };
}

/** What is refreshed at half of its life lives on beside what comes after it. */
function livingBefore(
  { versionId, expiresAt, earlier = [] }: TokensHeld,
  at: Instant,
): TokensHeld['earlier'] {
  const living = [{ versionId, expiresAt }, ...earlier].filter(
    (each) => fromInstant(each.expiresAt) > fromInstant(at),
  );
  return living.length === 0 ? undefined : living.slice(0, EARLIER_KEPT);
}

function replacedBy(
  { kind }: Attempt,
  { versionId, refreshable, replaced }: TokensHeld,
): TokensHeld['replaced'] {
  if (kind !== 'consent' || !refreshable) return replaced;
  return [versionId, ...(replaced ?? [])].slice(0, REPLACED_KEPT);
}

/** Consents that are remembered beside the one that counts. */
const REPLACED_KEPT = 10;

/** Access tokens that are remembered beside the newest; more are there only where people refresh by hand. */
const EARLIER_KEPT = 10;

/** The family after an attempt of which nothing is left: whoever was at it is dead, and what it got is lost. */
export function withoutAnswer(family: Family, attempt: Attempt, now: number): Family {
  const rest = { ...family, attempt: undefined };
  if (attempt.kind === 'consent' || family.status !== 'active') return rest;
  const at = toInstant(now);
  const { since = at, failures = 0, told, lostSince } = family.trouble ?? {};
  // At once: the server may take the token once more, but not for long.
  const lost = attempt.kind === 'refresh' ? [...attempt.lost, attempt.id].slice(-LOST_KEPT) : [];
  return {
    ...rest,
    trouble: {
      code: 'ERR_TIMEOUT',
      since,
      failures: failures + 1,
      notBefore: at,
      told,
      lost,
      lostSince: lost.length === 0 ? undefined : (lostSince ?? attempt.since),
    },
  };
}

/** What a failed attempt leads to. */
export type Failed =
  | { readonly outcome: 'consent-needed'; readonly family: Family }
  /** It is tried again; `tell` says what of it a person is told now, if anything. */
  | {
      readonly outcome: 'again';
      readonly family: Family;
      readonly tell?: 'refresh-failed' | 'refresh-endangered' | undefined;
    }
  /** Nothing changes for the family: what failed was a consent. */
  | { readonly outcome: 'dropped'; readonly family: Family };

/** The family after an attempt failed with `error`. */
export function withFailure(family: Family, attempt: Attempt, error: unknown, now: number): Failed {
  const rest = { ...family, attempt: undefined };
  if (attempt.kind === 'consent' || family.status !== 'active') return { outcome: 'dropped', family: rest };
  const code: Trouble['code'] = error instanceof RekeyError ? error.code : 'ERR_INTERNAL';
  if (code === 'ERR_CONSENT' && attempt.kind === 'refresh') {
    const why = attempt.lost.length > 0 ? 'lost' : 'refused';
    return { outcome: 'consent-needed', family: needingConsent(rest, why, now) };
  }
  const failures = (family.trouble?.failures ?? 0) + 1;
  const isUnspent = error instanceof Unspent;
  const isFinal = !isUnspent && (!(error instanceof RekeyError) || !error.retryable);
  // The server may have answered all the same; where it refused the client or turned it away, it has spent nothing.
  const isLost = attempt.kind === 'refresh' && !isFinal && !isUnspent;
  const lostSince = family.trouble?.lostSince ?? (isLost ? attempt.since : undefined);
  const usual = isFinal
    ? REFUSED_AGAIN_AFTER_SECONDS
    : Math.max(AGAIN_AFTER[failures - 1] ?? AGAIN_AFTER[4], isUnspent ? askedToWait(error) : 0);
  const wait = !isFinal && endsMeanwhile(family.terms, lostSince, now, usual) ? 0 : usual;
  const told = family.trouble?.told === true;
  const tell = told
    ? undefined
    : isFinal
      ? 'refresh-failed'
      : isLate(family.tokens, now)
        ? 'refresh-endangered'
        : undefined;
  const at = toInstant(now);
  return {
    outcome: 'again',
    tell,
    family: {
      ...rest,
      trouble: {
        code,
        since: family.trouble?.since ?? at,
        failures,
        notBefore: plusSeconds(at, wait),
        told: told || tell !== undefined,
        lost: isLost ? [...attempt.lost, attempt.id].slice(-LOST_KEPT) : attempt.lost,
        lostSince,
      },
    },
  };
}

/** Whether the server would take a token whose answer was lost once more now, and no more after a wait until the run that follows it. */
function endsMeanwhile(
  { graceSeconds }: Pick<FamilyTerms, 'graceSeconds'>,
  lostSince: Instant | undefined,
  now: number,
  waitSeconds: number,
): boolean {
  if (lostSince === undefined) return false;
  const until = fromInstant(lostSince) + graceSeconds * 1000;
  return now < until && now + (waitSeconds + RUN_EVERY_SECONDS) * 1000 >= until;
}

/** The coordinator comes every minute. */
const RUN_EVERY_SECONDS = 60;

/** What a server wants that limits its clients, up to when what is refused for good is tried again. Unless an answer was lost before, there is no hurry. */
function askedToWait({ retryAfterSeconds = AGAIN_AFTER[1] }: Unspent): number {
  return Math.min(retryAfterSeconds, REFUSED_AGAIN_AFTER_SECONDS);
}

/** Attempts that are remembered as lost. */
const LOST_KEPT = 10;

/** The family once somebody has to consent. */
export function needingConsent(
  family: Family,
  why: NonNullable<Family['needs']>['why'],
  now: number,
): Family {
  return {
    ...family,
    status: 'consent-needed',
    needs: { why, since: toInstant(now) },
    attempt: undefined,
    trouble: undefined,
  };
}

/** What is said of an incident after a try that has left something: at `until` whoever was at it is dead. */
export function triedAgain(
  { tries = 0, until }: FamilyIncident,
  now: number,
  hasFailed: boolean,
): Pick<FamilyIncident, 'tries' | 'again'> {
  if (!hasFailed && now < fromInstant(until)) return { tries, again: until };
  const wait = Math.min(REFUSED_AGAIN_AFTER_SECONDS, 30 * (tries + 1));
  return { tries: tries + 1, again: plusSeconds(toInstant(now), wait) };
}

/** Less than a quarter of the access token's life is left. */
function isLate(tokens: TokensHeld | undefined, now: number): boolean {
  if (tokens === undefined) return true;
  const [from, to] = [fromInstant(tokens.refreshedAt), fromInstant(tokens.expiresAt)];
  return now > to - (to - from) / 4;
}

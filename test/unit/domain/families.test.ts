import { describe, expect, test } from 'vitest';
import { plusSeconds, toInstant } from '../../../shared/domain/clock.ts';
import { RekeyError, type ErrorCode } from '../../../shared/domain/errors.ts';
import {
  familySecrets,
  type Attempt,
  type Family,
  type TokensHeld,
} from '../../../shared/domain/families.ts';
import {
  assertKeepable,
  leaseSeconds,
  lifeOf,
  nextFamilyLook,
  nextStep,
  refreshAt,
  withAttempt,
  withFailure,
  withoutAnswer,
  withTokens,
  type Got,
} from '../../../shared/domain/family-refresh.ts';
import { Unspent } from '../../../shared/domain/token-answer.ts';
import { describeFamilies } from '../../contract/describe-families.ts';
import { freshFamily, MemoryFamilies, TERMS } from '../../support/families.ts';

const NOW = Date.parse('2026-11-26T10:00:00.000Z');
const AT = toInstant(NOW);
const TRIGGER = { kind: 'planner', actor: 'refresh-families' } as const;
const later = (seconds: number): number => NOW + seconds * 1000;

const got = (changes: Partial<Got> = {}): Got => ({
  versionId: 'v1',
  fingerprint: 'sha256:1',
  refreshable: true,
  ...lifeOf(3600, NOW),
  ...changes,
});
const begin = (
  family: Family,
  kind: Attempt['kind'],
  now = NOW,
  id = 'v1',
): Family & { attempt: Attempt } => {
  const begun = withAttempt(family, { id, kind, trigger: TRIGGER, now });
  if (begun.attempt === undefined) throw new Error('no attempt');
  return { ...begun, attempt: begun.attempt };
};
const consented = (changes: Partial<Got> = {}, family = freshFamily({}, NOW)): Family => {
  const begun = begin(family, 'consent');
  return withTokens(begun, begun.attempt, got(changes));
};
const failing = (code: ErrorCode): RekeyError => new RekeyError(code, 'no');

describeFamilies('memory', () => ({ ledger: new MemoryFamilies(), tenant: 'default' }));

describe('a family is refreshed', () => {
  test('at half of the access token’s life, and rests before that', () => {
    const family = consented();
    expect(nextFamilyLook(family)).toBe(toInstant(later(1800)));
    expect(nextStep(family, later(1799))).toEqual({ kind: 'rest' });
    expect(nextStep(family, later(1800))).toEqual({ kind: 'obtain', how: 'refresh' });
    expect(nextStep(family, NOW, true)).toEqual({ kind: 'obtain', how: 'refresh' });
  });

  test.each([
    [900, 600],
    [1200, 600],
    [7200, 3600],
  ])('of %i seconds after %i: Secrets Manager takes a version in ten minutes', (life, after) => {
    const { at, expiresAt } = lifeOf(life, NOW);
    expect(refreshAt({ refreshedAt: at, expiresAt })).toBe(plusSeconds(AT, after));
  });

  test('never where its tokens live so short that the vault could not keep up', () => {
    const keepable =
      (expiresInSeconds?: number, refreshable = true) =>
      () =>
        assertKeepable(TERMS, { refreshable, expiresInSeconds });
    expect(keepable(900)).not.toThrow();
    expect(keepable()).not.toThrow();
    expect(keepable(3600, false)).toThrow(expect.objectContaining({ code: 'ERR_POLICY', field: 'scopes' }));
    expect(keepable(899)).toThrow(expect.objectContaining({ code: 'ERR_POLICY', field: 'server' }));
  });

  test('by nobody while consent is needed, while it is paused, or once it is unregistered', () => {
    const family = consented();
    const since = { since: AT, actor: 'a', reason: 'r' };
    for (const still of [
      freshFamily({}, NOW),
      { ...family, paused: since },
      { ...family, status: 'unregistered' as const },
    ]) {
      expect(nextStep(still, later(9999))).toEqual({ kind: 'rest' });
      expect(nextFamilyLook(still)).toBeUndefined();
    }
  });

  test('with a client’s own grant where there is no refresh token, at once after its registration', () => {
    const terms = { ...TERMS, grant: 'client_credentials' } as const;
    const family = freshFamily({ status: 'active', needs: undefined, terms }, NOW);
    expect(nextStep(family, NOW)).toEqual({ kind: 'obtain', how: 'own' });
  });
});

describe('one at a time', () => {
  test('spends the token: others wait for the end of the lease, then look what came of it, paused or not', () => {
    const begun = begin(consented(), 'refresh', NOW, 'v2');
    expect(begun.attempt).toMatchObject({ number: 2, id: 'v2', until: plusSeconds(AT, 120), lost: [] });
    expect(nextStep(begun, later(119))).toEqual({ kind: 'wait', until: begun.attempt.until });
    expect(nextStep(begun, later(119), true)).toMatchObject({ kind: 'wait' });
    expect(nextFamilyLook(begun)).toBe(begun.attempt.until);
    const paused = { ...begun, paused: { since: AT, actor: 'a', reason: 'r' } };
    for (const dead of [begun, paused])
      expect(nextStep(dead, later(120))).toEqual({ kind: 'settle', attempt: begun.attempt });
  });

  test.each([
    [{ rotation: true, graceSeconds: 0 }, 120],
    [{ rotation: true, graceSeconds: 10 }, 120],
    [{ rotation: true, graceSeconds: 19 }, 120],
    [{ rotation: true, graceSeconds: 20 }, 20],
    [{ rotation: true, graceSeconds: 60 }, 30],
    [{ rotation: true, graceSeconds: 3600 }, 120],
    [{ rotation: false, graceSeconds: 0 }, 20],
  ])('a lease for %o lasts %i seconds', (terms, seconds) => {
    expect(leaseSeconds(terms)).toBe(seconds);
  });

  test('numbers only go up, and who comes after a dead one knows of it', () => {
    const dead = begin(consented(), 'refresh', NOW, 'v2');
    const settled = withoutAnswer(dead, dead.attempt, later(120));
    expect(nextStep(settled, later(120))).toEqual({ kind: 'obtain', how: 'refresh' });
    const second = begin(settled, 'refresh', later(120), 'v3');
    expect(second.attempt).toMatchObject({ number: 3, lost: ['v2'] });
    const third = begin(withoutAnswer(second, second.attempt, later(240)), 'refresh', later(240), 'v4');
    expect(third.attempt).toMatchObject({ number: 4, lost: ['v2', 'v3'] });
    // A consent begins a family of its own.
    expect(begin(third, 'consent', later(240), 'v5').attempt.lost).toEqual([]);
  });
});

describe('an answer', () => {
  const refresh = (family: Family, changes: Partial<Got>): TokensHeld | undefined => {
    const begun = begin(family, 'refresh', later(1800), 'v2');
    return withTokens(
      begun,
      begun.attempt,
      got({ versionId: 'v2', ...lifeOf(3600, later(1800)), ...changes }),
    ).tokens;
  };

  test('of a consent makes the family work and ends what was wrong before', () => {
    const revoked = freshFamily(
      {
        needs: { why: 'revoked', since: AT },
        incident: { id: 'INC-1', trigger: TRIGGER, since: AT, pending: [], until: AT, outcome: 'revoked' },
      },
      NOW,
    );
    const family = consented({}, revoked);
    expect(family).toMatchObject({ status: 'active', tokens: { consentedAt: AT, rotatedAt: AT } });
    expect([family.needs, family.incident, family.attempt, family.trouble]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('with another refresh token rotates it; with the same, as Google’s, it stays as old as it is', () => {
    expect(refresh(consented(), { fingerprint: 'sha256:2' })).toMatchObject({
      consentedAt: AT,
      rotatedAt: toInstant(later(1800)),
      refreshedAt: toInstant(later(1800)),
    });
    expect(refresh(consented(), {})).toMatchObject({ rotatedAt: AT, refreshedAt: toInstant(later(1800)) });
  });

  test('C2: that keeps the refresh token for seven days makes a new consent due, which is told once', () => {
    const tokens = { ...consented().tokens, refreshedAt: toInstant(later(7 * 86_400 - 60)) } as TokensHeld;
    const family = {
      ...consented(),
      tokens: { ...tokens, expiresAt: toInstant(later(7 * 86_400 + 3600)) },
    };
    expect(nextFamilyLook(family)).toBe(toInstant(later(7 * 86_400)));
    expect(nextStep(family, later(7 * 86_400 - 1))).toEqual({ kind: 'rest' });
    expect(nextStep(family, later(7 * 86_400))).toEqual({ kind: 'tell' });
    const told = { ...family, dueTold: AT };
    expect(nextStep(told, later(7 * 86_400))).toEqual({ kind: 'rest' });
    expect(nextFamilyLook(told)).toBe(refreshAt(family.tokens));
  });
});

describe('a refusal', () => {
  const refused = (code: ErrorCode, family: Family = consented(), now = later(1800)) => {
    const begun = begin(family, 'refresh', now, 'v2');
    return withFailure(begun, begun.attempt, failing(code), now);
  };

  test('of the refresh token asks for consent, and nothing is tried again', () => {
    const { outcome, family } = refused('ERR_CONSENT');
    expect({ outcome, family }).toMatchObject({
      outcome: 'consent-needed',
      family: { status: 'consent-needed', needs: { why: 'refused' } },
    });
    expect(nextFamilyLook(family)).toBeUndefined();
  });

  test('of a token whose answer was lost before says that', () => {
    const dead = begin(consented(), 'refresh', later(1800), 'v2');
    const settled = withoutAnswer(dead, dead.attempt, later(1920));
    expect(refused('ERR_CONSENT', settled, later(1920)).family.needs?.why).toBe('lost');
    const silent = refused('ERR_UNAVAILABLE').family;
    expect(silent.trouble).toMatchObject({ lost: ['v2'], failures: 1 });
    expect(refused('ERR_CONSENT', silent, later(1800)).family.needs?.why).toBe('lost');
  });

  test('that spent nothing takes nothing of the hurry once an answer is lost: the next one comes within the grace', () => {
    const withGrace = freshFamily({ terms: { ...TERMS, graceSeconds: 120 } }, NOW);
    const unspent = new Unspent('ERR_UNAVAILABLE', 'answers 503 to a look at its metadata', {});
    const fail = (before: Family, error: unknown, now: number): Family => {
      const begun = begin(before, 'refresh', now, 'v2');
      return withFailure(begun, begun.attempt, error, now).family;
    };
    const turnedAway = fail(consented({}, withGrace), unspent, later(1800));
    expect(turnedAway.trouble).toMatchObject({ failures: 1, lost: [], notBefore: toInstant(later(1860)) });
    const lost = fail(turnedAway, failing('ERR_UNAVAILABLE'), later(1860));
    expect(lost.trouble).toMatchObject({ failures: 2, lost: ['v2'], notBefore: toInstant(later(1860)) });
  });

  test('at the door while an answer is lost is not waited for beyond the grace of the server', () => {
    const withGrace = freshFamily({ terms: { ...TERMS, graceSeconds: 120 } }, NOW);
    const busy = new Unspent('ERR_UNAVAILABLE', 'answers 429', { retryAfterSeconds: 600 });
    const begun = begin(consented({}, withGrace), 'refresh', later(1800), 'v2');
    const lost = withFailure(begun, begun.attempt, failing('ERR_UNAVAILABLE'), later(1810)).family;
    const again = begin(lost, 'refresh', later(1860), 'v3');
    const { trouble } = withFailure(again, again.attempt, busy, later(1861)).family;
    expect(trouble).toMatchObject({ lost: ['v2'], notBefore: toInstant(later(1861)) });
    const late = begin(lost, 'refresh', later(1920), 'v3');
    expect(withFailure(late, late.attempt, busy, later(1921)).family.trouble?.notBefore).toBe(
      toInstant(later(2521)),
    );
  });

  test('of the client pages at once, once, and is tried again slowly; it has spent nothing', () => {
    const first = refused('ERR_ADMIN_DENIED');
    expect(first).toMatchObject({ outcome: 'again', tell: 'refresh-failed' });
    expect(first.family).toMatchObject({
      status: 'active',
      trouble: { code: 'ERR_ADMIN_DENIED', lost: [], notBefore: toInstant(later(1800 + 900)) },
    });
    expect(nextFamilyLook(first.family)).toBe(toInstant(later(2700)));
    expect(nextStep(first.family, later(2699))).toEqual({ kind: 'rest' });
    const again = refused('ERR_ADMIN_DENIED', first.family, later(2700));
    expect(again).toMatchObject({
      outcome: 'again',
      family: { trouble: { failures: 2, since: toInstant(later(1800)) } },
    });
    expect('tell' in again ? again.tell : undefined).toBeUndefined();
  });

  test('of a server that is down pages when a quarter of the life is left, and is tried again ever more rarely', () => {
    let { family } = refused('ERR_UNAVAILABLE');
    const waits: number[] = [];
    let told: string | undefined;
    for (let now = later(1800); told === undefined;) {
      const wait = Date.parse(family.trouble?.notBefore ?? '') - now;
      waits.push(wait / 1000);
      now += wait;
      const failed = refused('ERR_UNAVAILABLE', family, now);
      family = failed.family;
      if (failed.outcome === 'again' && failed.tell !== undefined)
        told = `${failed.tell} ${(now - NOW) / 1000}`;
    }
    expect(waits).toEqual([0, 60, 120, 300, 600]);
    expect(told).toBe('refresh-endangered 2880');
    expect(refused('ERR_UNAVAILABLE', family, later(4000))).not.toHaveProperty('tell', 'refresh-endangered');
  });

  test('of a consent leaves a family that works as it was', () => {
    const begun = begin(consented(), 'consent', NOW, 'v2');
    const { outcome, family } = withFailure(begun, begun.attempt, failing('ERR_CONSENT'), NOW);
    expect({ outcome, status: family.status, attempt: family.attempt }).toEqual({
      outcome: 'dropped',
      status: 'active',
      attempt: undefined,
    });
  });
});

test('a pattern that lets agents read one secret of a family never reaches the refresh token', () => {
  const { secretName, refreshSecretName } = familySecrets('agents/', 'a');
  expect(secretName).toBe('agents/families/a');
  expect(refreshSecretName.startsWith(secretName)).toBe(false);
  expect(refreshSecretName.startsWith('agents/families')).toBe(false);
});

test('a family that rotates is one without a grace unless one is declared', () => {
  expect(leaseSeconds(TERMS)).toBe(120);
});

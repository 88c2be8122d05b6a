import { describe, expect, it } from 'vitest';
import type { Family, FamilyIncident } from '../../../shared/domain/families.ts';
import {
  knownTokens,
  outcomeOf,
  standingOfToken,
  type KnownToken,
} from '../../../shared/domain/family-leak.ts';
import { withTokens } from '../../../shared/domain/family-refresh.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { freshFamily } from '../../support/families.ts';

const NOW = Date.parse('2026-11-26T12:00:00.000Z');
const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;
const REFRESH: KnownToken = {
  familyId: 'f',
  fingerprint: 'sha256:1',
  kind: 'refresh',
  versionId: 'v',
  at: '2026-11-26T10:00:00.000Z',
};
const ACCESS: KnownToken = { ...REFRESH, kind: 'access', expiresAt: '2026-11-26T13:00:00.000Z' };

const working = (changes: Partial<Family> = {}): Family => freshFamily({ status: 'active', ...changes }, NOW);
const incident = (changes: Partial<FamilyIncident> = {}): FamilyIncident => ({
  id: 'INC-7',
  trigger: OPERATOR,
  since: '2026-11-26T11:00:00.000Z',
  pending: [],
  until: '2026-11-26T11:00:00.000Z',
  outcome: 'revoked',
  ...changes,
});

describe('the tokens of an answer', () => {
  it('are known by fingerprint, each with what it is', () => {
    const [accessToken, refreshToken] = [new Redacted('an-access-token'), new Redacted('a-refresh-token')];
    const answer = { accessToken, tokenType: 'Bearer', at: ACCESS.at, expiresAt: ACCESS.expiresAt ?? '' };
    const access = { ...ACCESS, fingerprint: fingerprint(accessToken) };
    expect(knownTokens('f', 'v', answer)).toEqual([access]);
    expect(knownTokens('f', 'v', { ...answer, refreshToken })).toEqual([
      access,
      { ...REFRESH, fingerprint: fingerprint(refreshToken) },
    ]);
  });
});

describe('a token that was found', () => {
  const outcome = (token: KnownToken, family: Family | undefined): string =>
    outcomeOf(standingOfToken(token, family, NOW));

  it.each([
    ['of a family that works', REFRESH, working()],
    ['that agents may read', ACCESS, working()],
    [
      'of a family whose server refuses it now',
      REFRESH,
      freshFamily({ needs: { why: 'refused', since: ACCESS.at } }),
    ],
    [
      'of an emergency that is not complete',
      REFRESH,
      freshFamily({ incident: incident({ pending: ['v'] }) }),
    ],
    [
      'of a consent after an emergency',
      REFRESH,
      working({ ended: { id: 'I', since: '2026-11-26T09:00:00.000Z', outcome: 'revoked' } }),
    ],
  ] as const)('%s is live', (_what, token, family) => {
    expect(outcome(token, family)).toBe('live');
  });

  it.each([
    ['revoked, as the server has confirmed', freshFamily({ incident: incident() }), 'dead'],
    [
      'revoked, which the server has not confirmed',
      freshFamily({ incident: incident({ outcome: 'unsupported' }) }),
      'not-confirmed',
    ],
    ['revoked before the last consent', working({ ended: incident() as never }), 'dead'],
    [
      'of a consent that another one had replaced',
      freshFamily({ incident: incident({ consentedAt: '2026-11-26T10:30:00.000Z' }) }),
      'not-confirmed',
    ],
    ['of a family that Rekey has let go of', working({ status: 'unregistered' }), 'not-confirmed'],
    ['of nobody any more', undefined, 'not-confirmed'],
  ])('%s is %s', (_what, family, said) => {
    expect(outcome(REFRESH, family)).toBe(said);
  });

  it('whose time is over is not called dead: its server alone says so', () => {
    const over = { ...ACCESS, expiresAt: '2026-11-26T12:00:00.000Z' };
    expect(standingOfToken(over, working(), NOW)).toMatchObject({
      standing: 'ended',
      confirmed: false,
      why: expect.stringContaining(over.expiresAt) as string,
    });
  });
});

describe('a consent after an emergency', () => {
  const given = (family: Family): Family =>
    withTokens(
      family,
      {
        number: 1,
        id: 'v2',
        kind: 'consent',
        since: REFRESH.at,
        until: REFRESH.at,
        trigger: OPERATOR,
        lost: [],
      },
      {
        versionId: 'v2',
        fingerprint: 'sha256:2',
        refreshable: true,
        at: '2026-11-26T11:30:00.000Z',
        expiresAt: '2026-11-26T12:30:00.000Z',
      },
    );

  it('remembers it, and that one of them was never confirmed', () => {
    const once = given(freshFamily({ incident: incident({ outcome: 'unsupported' }) }));
    expect(once).toMatchObject({ incident: undefined, ended: { id: 'INC-7', outcome: 'unsupported' } });
    const twice = given({ ...once, incident: incident({ id: 'INC-8', since: '2026-11-26T11:40:00.000Z' }) });
    expect(twice.ended).toEqual({ id: 'INC-8', since: '2026-11-26T11:40:00.000Z', outcome: 'unsupported' });
    expect(given(once).ended).toEqual(once.ended);
  });
});

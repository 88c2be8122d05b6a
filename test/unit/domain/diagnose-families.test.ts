import { describe, expect, test } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { familyChecks } from '../../../shared/domain/diagnose-families.ts';
import type { Family, TokensHeld } from '../../../shared/domain/families.ts';
import { freshFamily, TERMS } from '../../support/families.ts';

const NOW = Date.parse('2026-11-26T10:00:00.000Z');
const at = (minutes: number): string => toInstant(NOW + minutes * 60_000);
const tokens = (changes: Partial<TokensHeld> = {}): TokensHeld => ({
  versionId: 'v1',
  fingerprint: 'sha256:1',
  refreshable: true,
  consentedAt: at(-60),
  rotatedAt: at(-10),
  refreshedAt: at(-10),
  expiresAt: at(50),
  ...changes,
});
const active = (changes: Partial<Family> = {}): Family =>
  freshFamily({ name: 'crm', status: 'active', needs: undefined, tokens: tokens(), ...changes }, NOW);
const checksOf = (family: Family): string[] =>
  familyChecks(family, NOW).map(({ state, name, detail }) => `${state} ${name}: ${detail}`);
const trouble = { code: 'ERR_ADMIN_DENIED', since: at(-5), failures: 2, notBefore: at(5), lost: [] } as const;

describe('what is told of a family', () => {
  test('that works: what fails first while Rekey is down, and when', () => {
    const told = checksOf(active());
    expect(told.every((line) => line.startsWith('ok '))).toBe(true);
    expect(told[1]).toContain(`while Rekey is down agents of crm fail from ${at(50)}`);
  });

  test.each<[string, Partial<Family>, string]>([
    [
      'that needs consent',
      { status: 'consent-needed', needs: { why: 'lost', since: at(-5) } },
      'fail status: consent is needed: the answer to a refresh was lost',
    ],
    ['whose registration broke off', { provisioned: false }, 'fail status: its registration'],
    ['that is paused', { paused: { since: at(-5), actor: 'ada', reason: 'r' } }, 'warn status: paused since'],
    [
      'that could not be refreshed',
      { trouble },
      `warn access token: lasts until ${at(50)}; 2 refreshes failed`,
    ],
    [
      'that could not be refreshed in time',
      { trouble, tokens: tokens({ expiresAt: at(-1) }) },
      `fail access token: expired at ${at(-1)}; 2 refreshes failed`,
    ],
    [
      'that nobody looks at',
      { tokens: tokens({ refreshedAt: at(-61), expiresAt: at(-1) }) },
      `fail access token: expired at ${at(-1)}`,
    ],
    [
      'whose refresh token is too old',
      { tokens: tokens({ rotatedAt: at(-8 * 1440) }) },
      'warn refresh token: the same since',
    ],
    ['that nobody is declared to use', { terms: { ...TERMS, holders: [] } }, 'warn declared: none'],
    [
      'that a server could not be brought to revoke',
      {
        status: 'consent-needed',
        incident: {
          id: 'INC-7',
          trigger: { kind: 'emergency', actor: 'ada' },
          since: at(-5),
          pending: [],
          until: at(-5),
          outcome: 'unsupported',
        },
      },
      'fail status: the server could not be brought to revoke it in the emergency INC-7',
    ],
  ])('%s', (_what, changes, line) => {
    expect(checksOf(active(changes))).toContainEqual(expect.stringContaining(line));
  });
});

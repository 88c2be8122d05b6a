import { describe, expect, test } from 'vitest';
import type { Family, FamilyServer, TokensHeld } from '../../../shared/domain/families.ts';
import { assertSameServer } from '../../../shared/domain/family-hosts.ts';
import { freshFamily, TERMS } from '../../support/families.ts';

const AT = '2026-11-26T10:00:00.000Z';
const TRIGGER = { kind: 'operator', actor: 'arn:operator' } as const;
const tokens: TokensHeld = {
  versionId: 'v1',
  fingerprint: 'sha256:1',
  refreshable: true,
  consentedAt: AT,
  rotatedAt: AT,
  refreshedAt: AT,
  expiresAt: AT,
};
const issuer = 'https://login.example';

describe('the hosts of a family that has tokens', () => {
  const change = (to: FamilyServer, from: FamilyServer = { issuer }, has: Partial<Family> = { tokens }) => {
    const family = freshFamily({ ...has, terms: { ...TERMS, server: from } });
    return () => assertSameServer(family, { server: to });
  };

  test.each([
    ['issuer', { issuer: 'https://elsewhere.example' }],
    ['issuer', { issuer: 'https://login.example:8443' }],
    ['tokenEndpoint', { issuer, tokenEndpoint: 'https://elsewhere.example/token' }],
    ['tokenEndpoint', { issuer, tokenEndpoint: 'https://login.example.elsewhere.example/token' }],
    ['revocationEndpoint', { issuer, revocationEndpoint: 'https://elsewhere.example/revoke' }],
  ] as const)('stay: another one of %s is refused', (field, to) => {
    expect(change(to)).toThrow(
      expect.objectContaining({
        code: 'ERR_DECLARATION',
        field: `server.${field}`,
        remedy: expect.any(String),
      }),
    );
  });

  test('may have other paths, and be named by another field', () => {
    expect(change({ issuer })).not.toThrow();
    expect(
      change({ tokenEndpoint: `${issuer}/v2/token` }, { tokenEndpoint: `${issuer}/v1/token` }),
    ).not.toThrow();
    expect(change({ issuer, revocationEndpoint: `${issuer}/revoke` })).not.toThrow();
    expect(change({ tokenEndpoint: `${issuer}/token` })).not.toThrow();
    expect(change({ issuer, authorizationEndpoint: 'https://elsewhere.example/authorize' })).not.toThrow();
  });

  test('are free where it has none, neither coming nor still to be revoked', () => {
    const to = { issuer: 'https://elsewhere.example' };
    const incident = { id: 'INC-1', trigger: TRIGGER, since: AT, until: AT };
    const attempt = {
      number: 1,
      id: 'v2',
      kind: 'consent',
      since: AT,
      until: AT,
      trigger: TRIGGER,
      lost: [],
    } as const;
    expect(change(to, { issuer }, {})).not.toThrow();
    expect(change(to, { issuer }, { incident: { ...incident, pending: [] } })).not.toThrow();
    expect(change(to, { issuer }, { incident: { ...incident, pending: ['v1'] } })).toThrow('server.issuer');
    expect(change(to, { issuer }, { attempt })).toThrow('server.issuer');
  });
});

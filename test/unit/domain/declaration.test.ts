import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assertForeignHost,
  declarationJsonSchema,
  durationSeconds,
  holdersOf,
  modeOf,
  parseDeclaration,
  parseEntry,
  policyInput,
  prefixField,
} from '../../../shared/domain/declaration.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';

const ENTRY = {
  name: 'orders',
  type: 'database',
  provider: 'postgresql',
  secret: 'agents/orders',
  admin: 'database/admin',
  target: { host: 'db.example' },
  holders: [{ kind: 'polling', name: 'fleet', ttl: '15m' }],
};

function refusal(run: () => unknown): RekeyError {
  try {
    run();
  } catch (error) {
    if (error instanceof RekeyError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const file = (...entries: object[]): unknown => ({ version: 1, credentials: entries });

describe('a declaration file', () => {
  it('is read, with defaults left to the policy', () => {
    const [entry] = parseDeclaration(file(ENTRY)).credentials;
    expect(entry).toEqual(ENTRY);
    if (entry === undefined) return;
    expect(modeOf(entry)).toBe('enforce');
    expect(holdersOf(entry)).toEqual([{ kind: 'polling', name: 'fleet', ttlSeconds: 900 }]);
    expect(Object.values(policyInput(entry)).every((value) => value === undefined)).toBe(true);
  });

  it.each<[string, object, string]>([
    [
      'an unknown type',
      { ...ENTRY, name: 'other', secret: 'other', type: 'mainframe' },
      'credentials[1].type',
    ],
    ['a name with capitals', { ...ENTRY, name: 'Orders' }, 'credentials[1].name'],
    [
      'a name that looks like an id',
      { ...ENTRY, name: '3f2a9c1e-0b4d-4c8e-9f00-1234567890ab' },
      'credentials[1].name',
    ],
    [
      'two holders of one name',
      { ...ENTRY, holders: [...ENTRY.holders, ...ENTRY.holders] },
      'credentials[1].holders[1].name',
    ],
    ['no name', { ...ENTRY, name: undefined }, 'credentials[1].name'],
    ['a secret with a blank', { ...ENTRY, secret: 'a b' }, 'credentials[1].secret'],
    ['a duration without a unit', { ...ENTRY, policy: { window: '30' } }, 'credentials[1].policy.window'],
    ['a duration of nothing', { ...ENTRY, policy: { window: '0m' } }, 'credentials[1].policy.window'],
    ['an unknown mode', { ...ENTRY, mode: 'maybe' }, 'credentials[1].mode'],
    [
      'an unknown kind of holder',
      { ...ENTRY, holders: [{ kind: 'psychic', name: 'x', ttl: '1m' }] },
      'credentials[1].holders[0].kind',
    ],
    [
      'an exception without a reason',
      { ...ENTRY, policy: { exception: { reason: '', expires: '2027-01-01' } } },
      'credentials[1].policy.exception.reason',
    ],
    [
      'an exception without a date',
      { ...ENTRY, policy: { exception: { reason: 'x', expires: 'soon' } } },
      'credentials[1].policy.exception.expires',
    ],
    ['a misspelt key', { ...ENTRY, polcy: {} }, 'credentials[1].polcy'],
    ['a second entry of the same name', { ...ENTRY, secret: 'other' }, 'credentials[1].name'],
    ['a second entry of the same secret', { ...ENTRY, name: 'other' }, 'credentials[1].secret'],
  ])('with %s is refused by field and remedy', (_what, entry, field) => {
    const error = refusal(() => parseDeclaration(file(ENTRY, entry)));
    expect(error).toMatchObject({ code: 'ERR_DECLARATION', field });
    expect(error.remedy).toMatch(/\w{3}/);
  });

  it.each<[string, unknown]>([
    ['of another version', { version: 2, credentials: [ENTRY] }],
    ['without entries', { version: 1, credentials: [] }],
    ['that is no object', 'version: 1'],
    ['that is nothing', null],
  ])('%s is refused', (_what, input) => {
    expect(refusal(() => parseDeclaration(input)).code).toBe('ERR_DECLARATION');
  });

  it('never makes anything but an error of ours out of any input', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.jsonValue().map((value) => file(ENTRY, value as object)),
        ),
        (input) => {
          try {
            parseDeclaration(input);
          } catch (error) {
            expect(error).toBeInstanceOf(RekeyError);
          }
        },
      ),
    );
  });

  it('knows every unit', () => {
    expect(['90s', '15m', '4h', '30d'].map(durationSeconds)).toEqual([90, 900, 14_400, 2_592_000]);
  });

  it('has a JSON Schema that names every field of an entry', () => {
    const text = JSON.stringify(declarationJsonSchema());
    for (const field of Object.keys(ENTRY)) expect(text).toContain(`"${field}"`);
  });

  it('carries policy and holders over in seconds', () => {
    const entry = parseEntry({
      ...ENTRY,
      mode: 'overlap',
      policy: { window: '1h', soak: '0s', atDeadline: 'revoke', access: 'read' },
    });
    expect(policyInput(entry)).toMatchObject({
      windowSeconds: 3600,
      soakSeconds: 0,
      atDeadline: 'revoke',
      access: 'read',
    });
    expect(modeOf(entry)).toBe('overlap');
  });

  it('errors keep remedy and cause below a prefix; others pass as they are', () => {
    const cause = new Error('cause');
    const inner = new RekeyError('ERR_POLICY', 'too long', {
      field: 'policy.interval',
      remedy: 'shorten',
      cause,
    });
    expect(prefixField(inner, 'credentials[3]')).toMatchObject({
      code: 'ERR_POLICY',
      field: 'credentials[3].policy.interval',
      remedy: 'shorten',
      cause,
    });
    expect(prefixField(cause, 'x')).toBe(cause);
  });
});

describe('the host of a target', () => {
  it.each([
    '169.254.169.254',
    '127.0.0.1',
    '127.1',
    '0.0.0.0',
    '0',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.0.0.1.',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fe80::1',
    'febf::1',
    '::ffff:169.254.169.254',
    '::127.0.0.1',
    'fd00:ec2::254',
    'localhost',
    'LOCALHOST.',
  ])('may not be %s', (host) => {
    expect(refusal(() => assertForeignHost({ host }))).toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'target.host',
      remedy: expect.any(String),
    });
  });

  it.each(['db.internal', 'db-1', '10.0.0.5', '192.168.1.1', '2001:db8::5', 'fd12::5', '1.db.example'])(
    'may be %s',
    (host) => {
      expect(() => assertForeignHost({ host })).not.toThrow();
    },
  );

  it('is of no concern where a target has none', () => {
    expect(() => assertForeignHost({})).not.toThrow();
    expect(() => assertForeignHost(undefined)).not.toThrow();
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  declarationJsonSchema,
  holdersOf,
  modeOf,
  parseDeclaration,
  parseEntry,
  policyInput,
} from '../../../shared/domain/declaration.ts';
import { durationSeconds, durationText } from '../../../shared/domain/duration.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { assertForeignHost } from '../../../shared/domain/foreign-host.ts';
import { prefixField } from '../../../shared/domain/mistakes.ts';

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

describe('a holder of kind client', () => {
  const AGENT = { kind: 'client', name: 'checkout', principal: 'arn:aws:iam::111122223333:role/checkout' };
  const entry = (holder: object) => ({ ...ENTRY, holders: [holder] });

  it('is read with its role, and with its fleet where it has one', () => {
    expect(holdersOf(parseEntry(entry(AGENT)))).toEqual([AGENT]);
    const shop = { ...AGENT, fleet: 'shop', agents: 20 };
    expect(holdersOf(parseEntry(entry(shop)))).toEqual([shop]);
  });

  it.each<[string, object, string]>([
    ['no principal', { kind: 'client', name: 'checkout' }, 'holders[0].principal'],
    ['a name that is no part of an address', { ...AGENT, name: 'check/out' }, 'holders[0].name'],
    ['a ttl: the pact has it', { ...AGENT, ttl: '15m' }, 'holders[0].ttl'],
  ])('is refused with %s', (_what, holder, field) => {
    expect(refusal(() => parseEntry(entry(holder)))).toMatchObject({ code: 'ERR_DECLARATION', field });
  });

  it('has its name to itself', () => {
    const twice = { ...ENTRY, holders: [AGENT, { ...AGENT, fleet: 'shop' }] };
    expect(refusal(() => parseEntry(twice)).field).toBe('holders[1].name');
  });
});

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

  it('tells of every mistake at once, unknown keys first, each with field and remedy', () => {
    const first = {
      ...ENTRY,
      polcy: {},
      hodlers: [],
      mode: 'maybe',
      policy: { windw: '1h', soak: 'long', interval: '90d' },
    };
    const second = { ...ENTRY, type: 'mainframe', secret: 'a b' };
    const error = refusal(() =>
      parseDeclaration({ version: 1, credentials: [first, second], extra: 1 }, { now: 0, limits: {} }),
    );
    const all = [error, ...error.also];
    expect(all.map(({ field }) => field)).toEqual([
      'extra',
      'credentials[0].policy.windw',
      'credentials[0].polcy',
      'credentials[0].hodlers',
      'credentials[0].mode',
      'credentials[0].policy.soak',
      'credentials[1].secret',
      'credentials[1].type',
      'credentials[1].name',
    ]);
    for (const { remedy, also } of all.slice(1)) {
      expect(remedy).toMatch(/\w{3}/);
      expect(also).toEqual([]);
    }
    expect(all.find(({ field }) => field === 'credentials[0].policy.soak')?.message).toContain('30m');
  });

  it('is held against the bounds of its policy even where something else is wrong', () => {
    const entry = { ...ENTRY, polcy: {}, policy: { interval: '90d', window: '5h', cap: '8d', soak: '4d' } };
    const check = { now: 0, limits: {} };
    const error = refusal(() => parseEntry(entry, check));
    expect([error, ...error.also].map(({ field }) => field)).toEqual([
      'polcy',
      'policy.interval',
      'policy.window',
      'policy.cap',
      'policy.soak',
    ]);
    expect(refusal(() => parseEntry(entry)).also).toEqual([]);
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
    const texts = ['90s', '15m', '4h', '30d'];
    expect(texts.map(durationSeconds)).toEqual([90, 900, 14_400, 2_592_000]);
    expect(texts.map(durationSeconds).map(durationText)).toEqual(texts);
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

  it('errors keep remedy, cause and further mistakes below a prefix', () => {
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
    const two = new RekeyError('ERR_POLICY', 'first', { field: 'a', also: [inner] });
    expect(prefixField(two, 'x').also).toMatchObject([{ field: 'x.policy.interval', remedy: 'shorten' }]);
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

describe('an entry for what exists', () => {
  const { admin: _none, ...bare } = ENTRY;

  it('is observed unless it says otherwise', () => {
    expect(modeOf(parseEntry({ ...bare, adopt: true }))).toBe('observe');
    expect(modeOf(parseEntry({ ...bare, adopt: true, mode: 'observe' }))).toBe('observe');
    expect(modeOf(parseEntry({ ...ENTRY, adopt: true, mode: 'enforce' }))).toBe('enforce');
    expect(modeOf(parseEntry(ENTRY))).toBe('enforce');
  });

  it('is named by its name: an ARN may be of another region, and two entries for one secret are refused', () => {
    const arn = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:agents/orders-AbCdEf';
    const error = refusal(() => parseEntry({ ...ENTRY, secret: arn, adopt: true }));
    expect(error).toMatchObject({ code: 'ERR_DECLARATION', field: 'secret' });
    expect(error.message).toContain('not its ARN');
    const twice = file({ ...bare, adopt: true }, { ...ENTRY, name: 'other' });
    expect(refusal(() => parseDeclaration(twice))).toMatchObject({ field: 'credentials[1].secret' });
    expect(refusal(() => parseEntry({ ...ENTRY, adopt: false })).field).toBe('adopt');
  });
});

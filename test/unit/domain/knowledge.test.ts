import { describe, expect, it } from 'vitest';
import type { AuditAction } from '../../../shared/domain/audit.ts';
import type { Credential, Key } from '../../../shared/domain/credential.ts';
import { aliveKeys, redeclared, sightsOf, type Witness } from '../../../shared/domain/knowledge.ts';
import { knownTo, tasksOf } from '../../../shared/domain/leaver.ts';
import { isSamePerson, personIn } from '../../../shared/domain/person.ts';
import type { SeenReader } from '../../../shared/domain/readers.ts';
import { chainOf, credentialOf, rotationOf } from '../api/fakes.ts';

const key = (versionId: string, day: number): Key => ({
  handle: { id: `login-${versionId}`, generation: day },
  versionId,
  fingerprint: `sha256:${versionId}`,
  issuedAt: `2026-11-${String(day).padStart(2, '0')}T00:00:00.000Z`,
});
const [v1, v2, v3] = [key('v1', 1), key('v2', 10), key('v3', 20)] as const;
const SSO = 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123';

const head = (changes: Partial<Credential> = {}): Credential =>
  credentialOf({ current: v2, live: [v2.handle], ...changes });
const witness = (changes: Partial<Witness<Credential>> = {}): Witness<Credential> => ({
  credential: head(),
  former: [],
  readers: [],
  records: [],
  ...changes,
});
const readBy = (changes: Partial<SeenReader> = {}): SeenReader => ({
  kind: 'person',
  principal: SSO,
  name: 'Ada@example.com',
  firstSeen: '2026-11-15T00:00:00.000Z',
  lastSeen: '2026-11-15T00:00:00.000Z',
  ...changes,
});
/** From v1 to v2, in its window. */
const moving = rotationOf({ old: v1, next: v2, loser: 'old' });
const inWindow = (changes: Partial<Witness<Credential>> = {}) =>
  witness({
    credential: head({ live: [v1.handle, v2.handle] }),
    rotation: { ...moving, window: { ...moving.window!, opensAt: '2026-11-10T00:05:00.000Z' } },
    ...changes,
  });
const seen = (of: Witness) => sightsOf(of).map(({ person, versions }) => [person, ...versions]);

describe('a person', () => {
  it.each([
    ['arn:aws:sts::111122223333:assumed-role/Operator/Ada', 'ada'],
    ['arn:aws:sts::111122223333:assumed-role/Admin/ada', 'ADA'],
    ['arn:aws:iam::111122223333:user/team/ada', 'ada'],
  ])('%s is %s', (arn, name) => expect(isSamePerson(arn, name)).toBe(true));

  it('is the whole name, not a part of it', () => {
    expect(isSamePerson('ada', 'ada@example.com')).toBe(false);
    expect(personIn('arn:aws:sts::1:assumed-role/ada/bob')).toBe('bob');
  });
});

describe('values that work', () => {
  it.each<[string, Witness, string[]]>([
    ['the present one', witness(), ['v2']],
    ['both in a window', inWindow(), ['v2', 'v1']],
    [
      'of a rotation that has issued, the next one',
      witness({
        credential: head({ live: [v2.handle, v3.handle] }),
        rotation: rotationOf({ phase: 'activating', old: v2, next: v3 }),
      }),
      ['v2', 'v3'],
    ],
    [
      'what mode overlap has kept',
      witness({ credential: head({ live: [v1.handle, v2.handle] }), former: [v1, v2] }),
      ['v2', 'v1'],
    ],
    ['not a former one that is dead', witness({ former: [v1] }), ['v2']],
    ['of what is only observed, the present one', witness({ credential: head({ live: [] }) }), ['v2']],
    ['none after an emergency', witness({ credential: head({ live: [], status: 'halted' }) }), []],
  ])('are %s', (_what, of, versions) => {
    expect(aliveKeys(of).map(({ versionId }) => versionId)).toEqual(versions);
  });
});

describe('who has seen a value', () => {
  it('is declared for the value of that day only', () => {
    const credential = head({
      knownBy: [{ name: 'Ada', version: 'v2' }, { name: 'bob', version: 'v1' }, { name: 'eve' }],
    });
    expect(seen(witness({ credential }))).toEqual([['ada', 'v2'], ['bob'], ['eve']]);
    expect(seen(inWindow({ credential: { ...credential, live: [v1.handle, v2.handle] } }))).toEqual([
      ['ada', 'v2'],
      ['bob', 'v1'],
      ['eve'],
    ]);
  });

  it.each<[string, Witness, Partial<SeenReader>, string[]]>([
    ['the present one, read since it is there', witness(), {}, ['v2']],
    ['none, read before the last rotation', witness(), { lastSeen: '2026-11-09T00:00:00.000Z' }, []],
    ['the present one only, read after its window opened', inWindow(), {}, ['v2']],
    ['both, read again and again', inWindow(), { firstSeen: '2026-11-09T00:00:00.000Z' }, ['v2', 'v1']],
    ['the old one, read as AWSPREVIOUS', inWindow(), { version: 'AWSPREVIOUS' }, ['v1']],
    ['that which it asked for', inWindow(), { version: 'v1' }, ['v1']],
    ['none that is dead', witness(), { version: 'v1' }, []],
    ['what was pending then', witness(), { version: 'AWSPENDING' }, ['v2']],
  ])('has seen %s', (_what, of, changes, versions) => {
    expect(seen({ ...of, readers: [readBy(changes)] })).toEqual([['ada@example.com', ...versions]]);
  });

  it.each<[string, Partial<SeenReader>, string[][]]>([
    ['a user', { kind: 'user', principal: 'arn:aws:iam::1:user/team/ada' }, [['ada', 'v2']]],
    ['a user with a second factor', { principal: 'arn:aws:iam::1:user/ada', name: '' }, [['ada', 'v2']]],
    ['no workload', { kind: 'lambda', name: 'ada' }, []],
    ['no session at the source', { kind: 'session', name: 'ada' }, []],
  ])('is %s', (_what, changes, expected) => {
    expect(seen(witness({ readers: [readBy(changes)] }))).toEqual(expected);
  });

  it.each<[AuditAction, string[]]>([
    ['observed', ['ada', 'v2']],
    ['adopted', ['ada', 'v2']],
    ['task-confirmed', ['ada', 'v2']],
  ])('has brought it, by the record %s', (action, expected) => {
    const trigger = { kind: 'operator', actor: 'arn:aws:sts::1:assumed-role/Operator/Ada' } as const;
    const brought = { action, time: v2.issuedAt, trigger, newFingerprint: v2.fingerprint };
    const { records } = chainOf(head(), [brought]);
    expect(seen(witness({ records }))).toEqual([expected]);
    expect(seen(witness({ records, credential: head({ current: v3, live: [v3.handle] }) }))).toEqual([
      ['ada'],
    ]);
  });
});

describe('a declaration of who knows it', () => {
  it('keeps the value of whoever stood there, and gives the present one to whoever is new', () => {
    const before = [{ name: 'Ada', version: 'v1' }];
    expect(redeclared([{ name: 'ada' }, { name: 'bob' }], before, v2)).toEqual([
      { name: 'ada', version: 'v1' },
      { name: 'bob', version: 'v2' },
    ]);
    expect(redeclared([{ name: 'ada' }], undefined, undefined)).toEqual([{ name: 'ada' }]);
    expect(redeclared(undefined, before, v2)).toBeUndefined();
  });
});

describe('who leaves', () => {
  const declared = (name: string, changes: Partial<Credential> = {}) =>
    witness({ credential: head({ name, id: name, knownBy: [{ name: 'ada', version: 'v2' }], ...changes }) });
  const family = (name: string, consentedBy?: string) => ({
    name,
    tokens: { consentedAt: 'then', consentedBy },
  });

  it('takes along what they know and what lives by their consent, each with why', () => {
    const leaver = knownTo(
      'arn:aws:sts::1:assumed-role/X/ADA',
      [
        { ...declared('one'), readers: [readBy({ name: 'ada' })] },
        declared('two', { knownBy: [{ name: 'bob', version: 'v2' }] }),
        declared('old', { knownBy: [{ name: 'ada', version: 'v1' }] }),
      ],
      [family('crm', 'arn:aws:sts::1:assumed-role/Operator/Ada'), family('erp', 'eve'), family('own')],
    );
    expect(
      leaver.credentials.map(({ witness: { credential }, versions }) => [credential.name, versions]),
    ).toEqual([['one', ['v2']]]);
    expect(leaver.credentials[0]?.why).toEqual([
      'ada is declared to know it',
      expect.stringMatching(/^ada read it at 2026-11-15T00:00:00.000Z, as arn:.*Admin/),
    ]);
    expect(leaver.families).toEqual([{ name: 'crm', why: 'ada consented at then' }]);
    expect(leaver.people).toEqual(['ada', 'bob', 'eve']);
  });

  it('is told what nobody knows: readers without a name, and who filled a pool', () => {
    const { name: _none, ...nameless } = readBy();
    const { unknown } = knownTo(
      'ada',
      [
        { ...declared('one'), readers: [nameless] },
        { ...declared('two'), readers: [{ ...nameless, lastSeen: '2026-11-01T00:00:00.000Z' }] },
        declared('pool', { type: 'llm-key', provider: 'cohere', knownBy: undefined }),
        declared('said', { type: 'llm-key', provider: 'cohere' }),
      ],
      [],
    );
    expect(unknown).toEqual([
      `somebody read one as ${SSO}: which person is not known`,
      expect.stringContaining('pools of pool is not known'),
    ]);
  });
});

describe('what a rotation leaves to a person', () => {
  it.each<[string, Partial<Credential>, RegExp[]]>([
    ['nothing of a database', {}, []],
    [
      'a pool and the end of its keys',
      { type: 'llm-key', provider: 'cohere' },
      [/from its pool/, /a person ends the old one/],
    ],
    ['what mode overlap keeps', { mode: 'overlap' }, [/mode overlap keeps/]],
    ['a credential without holders', { holders: [] }, [/no holder is known/]],
    [
      'a manual holder',
      { holders: [{ kind: 'manual', name: 'report' }] },
      [/rekey confirm orders-db report/],
    ],
  ])('is %s', (_what, changes, expected) => {
    expect(tasksOf(credentialOf(changes))).toEqual(
      expected.map((each) => expect.stringMatching(each) as string),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ArchiveCopy,
  type CopiedObject,
  type CopyFault,
  type KnownEnd,
} from '../../../shared/domain/archive-copy.ts';
import { sha256 } from '../../../shared/domain/archive-keys.ts';
import { hashOf, seal, type AuditRecord } from '../../../shared/domain/audit.ts';
import { chainRecords, objectOf } from '../../support/archive-copies.ts';

const RECORDS = chainRecords(12, 'c1');
const OTHERS = chainRecords(5, 'c2');
const WHOLE = [...RECORDS, ...OTHERS].map(objectOf);

const endOf = (records: readonly AuditRecord[]): KnownEnd => {
  const { entity, metadata, integrity } = records.at(-1) as AuditRecord;
  return { credentialId: entity.uid, seq: metadata.sequence, hash: integrity.hash };
};

function faultsOf(objects: readonly CopiedObject[], known: readonly KnownEnd[] = []): readonly CopyFault[] {
  const copy = new ArchiveCopy(known);
  for (const object of objects) copy.add([object]);
  return copy.report().faults;
}

const kinds = (objects: readonly CopiedObject[], known: readonly KnownEnd[] = []): string[] => [
  ...new Set(faultsOf(objects, known).map(({ fault }) => fault)),
];

const named = (prefix: string, value: unknown): CopiedObject => {
  const content = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return { key: `${prefix}${sha256(content).toString('hex')}.json`, content };
};

const at = (index: number): AuditRecord => RECORDS[index] as AuditRecord;
const withAt = (index: number, ...objects: CopiedObject[]): CopiedObject[] =>
  WHOLE.toSpliced(index, 1, ...objects);
const changed = (record: AuditRecord): AuditRecord => ({ ...record, actor: { user: { uid: 'nobody' } } });
const rehashed = (record: AuditRecord): AuditRecord => ({
  ...record,
  integrity: { ...record.integrity, hash: hashOf(record) },
});
const flipped = ({ key, content }: CopiedObject, byte = 3): CopiedObject => ({
  key,
  content: content.map((each, index) => (index === byte % content.length ? each ^ 1 : each)),
});

describe('a copy of the archive', () => {
  it('that is whole has no fault, and tells what it has of whom', () => {
    const copy = new ArchiveCopy([endOf(RECORDS)]);
    copy.add(WHOLE);
    copy.add([
      named('uses/tenant=acme/account=1/region=x/dt=2026-01-01/c1/', {
        credential_uid: 'c1',
        agent: 'checkout',
        used_from: '2026-01-01T00:00:00.000Z',
      }),
    ]);
    expect(copy.report()).toMatchObject({
      records: 17,
      uses: 1,
      held: 1,
      faults: [],
      days: [
        { day: '2026-01-01', records: 8 },
        { day: '2026-01-02', records: 5 },
        { day: '2026-01-03', records: 4 },
      ],
      chains: [
        {
          credentialId: 'c1',
          name: 'c1-db',
          records: 12,
          seq: 12,
          hash: at(11).integrity.hash,
          to: at(11).time_dt,
        },
        { credentialId: 'c2', records: 5, seq: 5, from: at(0).time_dt },
      ],
    });
  });

  it('is the same in any order of its objects, and in any portions', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(WHOLE, { minLength: WHOLE.length }),
        fc.integer({ min: 1, max: 20 }),
        (objects, size) => {
          const copy = new ArchiveCopy([endOf(RECORDS), endOf(OTHERS)]);
          for (let from = 0; from < objects.length; from += size) copy.add(objects.slice(from, from + size));
          expect(copy.report()).toMatchObject({ records: 17, held: 2, faults: [] });
        },
      ),
    );
  });

  it('has a byte changed: the content is not the one of the name', () => {
    fc.assert(
      fc.property(fc.nat(WHOLE.length - 1), fc.nat(2000), (index, byte) => {
        const damaged = withAt(index, flipped(WHOLE[index] as CopiedObject, byte));
        expect(kinds(damaged)).toContain('content');
      }),
    );
  });

  it.each([
    [
      'a record that was changed, under its name',
      withAt(4, { key: objectOf(at(4)).key, content: Buffer.from(JSON.stringify(changed(at(4)))) }),
      ['content', 'hash'],
    ],
    ['a record that was changed, under a name made anew', withAt(4, objectOf(changed(at(4)))), ['hash']],
    ['a record that was changed with hash and name', withAt(4, objectOf(rehashed(changed(at(4))))), ['link']],
    ['a record that was removed', withAt(4), ['gap']],
    ['the first record removed', withAt(0), ['gap']],
    [
      'a record twice, once under another day',
      [...WHOLE, { ...objectOf(at(4)), key: objectOf(at(4)).key.replace('dt=2026-01-02', 'dt=2026-02-02') }],
      ['place', 'duplicate'],
    ],
    [
      'a record that was moved to another credential',
      withAt(4, { ...objectOf(at(4)), key: objectOf(at(4)).key.replace('/c1/', '/c2/') }),
      ['place'],
    ],
    [
      'a record under the number of another',
      withAt(4, { ...objectOf(at(4)), key: objectOf(at(4)).key.replace('000000000005-', '000000000006-') }),
      ['place'],
    ],
    [
      'no JSON',
      withAt(4, named(`records/tenant=acme/account=1/region=x/dt=2026-01-02/c1/000000000005-`, 'no')),
      ['form', 'gap'],
    ],
    [
      'JSON that is no record',
      withAt(4, named(`records/tenant=acme/account=1/region=x/dt=2026-01-02/c1/000000000005-`, { seq: 5 })),
      ['form', 'gap'],
    ],
    [
      'an object that nobody writes',
      [...WHOLE, { key: 'notes.txt', content: Buffer.from('x') }],
      ['foreign'],
    ],
    [
      'a record outside its folders',
      [...WHOLE, { key: '000000000001-x.json', content: Buffer.from('{}') }],
      ['foreign'],
    ],
    [
      'a finding of the archiver',
      [...WHOLE, named('tampering/', { key: 'AUD#c1', change: 'REMOVE', before: '{}', after: '' })],
      ['tampering'],
    ],
    [
      'a use that tells of another credential',
      [
        ...WHOLE,
        named('uses/tenant=acme/dt=2026-01-01/c1/', {
          credential_uid: 'c2',
          agent: 'checkout',
          used_from: '2026-01-01T00:00:00.000Z',
        }),
      ],
      ['place'],
    ],
    [
      'a use that an upstream tells of among the reports of agents',
      [
        ...WHOLE,
        named('uses/tenant=acme/dt=2026-01-01/c1/', {
          credential_uid: 'c1',
          source: 'cloudtrail',
          used_from: '2026-01-01T00:00:00.000Z',
        }),
      ],
      ['form'],
    ],
  ] as const)('with %s is not whole', (_, objects, expected) => {
    expect(kinds(objects)).toEqual(expected);
  });

  it('with two numbers exchanged is not whole', () => {
    const numbered = (record: AuditRecord, sequence: number): CopiedObject =>
      objectOf(rehashed({ ...record, metadata: { ...record.metadata, sequence } }));
    expect(kinds([...withAt(3).toSpliced(3, 1), numbered(at(3), 5), numbered(at(4), 4)])).toEqual(['link']);
  });

  it('with a fork shows two records of one number, whichever is read first', () => {
    const forged = objectOf(
      seal(
        {
          tenant: 'acme',
          account: '111122223333',
          region: 'eu-central-1',
          holders: [],
          id: 'c1',
          name: 'c1-db',
          seq: 5,
          chain: at(4).integrity.hash,
        },
        {
          action: 'retired',
          time: at(5).time_dt,
          trigger: { kind: 'operator', actor: 'nobody' },
          deactivation: 'CONFIRMED',
        },
      ),
    );
    for (const objects of [
      [...WHOLE, forged],
      [forged, ...WHOLE],
    ])
      expect(faultsOf(objects)).toContainEqual({ fault: 'duplicate', credentialId: 'c1', seq: 6 });
  });

  it('tells a gap as one, from its first number to its last', () => {
    expect(faultsOf(WHOLE.toSpliced(3, 4))).toEqual([{ fault: 'gap', credentialId: 'c1', seq: 4, to: 7 }]);
  });

  it('whose tail is gone is whole in itself, and not against what was known of its end', () => {
    const cut = WHOLE.toSpliced(9, 3);
    expect(faultsOf(cut)).toEqual([]);
    expect(faultsOf(cut, [endOf(RECORDS)])).toEqual([{ fault: 'lost', credentialId: 'c1', seq: 12 }]);
  });

  it('without a chain that was known is not whole', () => {
    expect(faultsOf(OTHERS.map(objectOf), [endOf(RECORDS)])).toEqual([
      { fault: 'lost', credentialId: 'c1', seq: 12 },
    ]);
  });

  it('whose chain went on since it was known is whole', () => {
    expect(faultsOf(WHOLE, [endOf(RECORDS.slice(0, 7))])).toEqual([]);
  });

  it('that was written anew from a record on is whole in itself, and not against what was known', () => {
    let previous = at(3).integrity.hash;
    const anew = RECORDS.slice(4).map((record) => {
      const next = rehashed({ ...changed(record), integrity: { ...record.integrity, previous } });
      previous = next.integrity.hash;
      return objectOf(next);
    });
    const copy = [...RECORDS.slice(0, 4).map(objectOf), ...anew];
    expect(faultsOf(copy)).toEqual([]);
    expect(faultsOf(copy, [endOf(RECORDS)])).toEqual([{ fault: 'rewritten', credentialId: 'c1', seq: 12 }]);
  });

  it('is not whole after any one object was removed but the last of a chain', () => {
    fc.assert(
      fc.property(fc.nat(WHOLE.length - 1), (index) => {
        const isEnd = index === RECORDS.length - 1 || index === WHOLE.length - 1;
        expect(kinds(WHOLE.toSpliced(index, 1))).toEqual(isEnd ? [] : ['gap']);
        expect(kinds(WHOLE.toSpliced(index, 1), [endOf(RECORDS), endOf(OTHERS)])).not.toEqual([]);
      }),
    );
  });
});

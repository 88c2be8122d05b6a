import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkChain,
  GENESIS,
  hashOf,
  seal,
  type AuditDraft,
  type AuditRecord,
} from '../../../shared/domain/audit.ts';
import { eventOf } from '../../../shared/domain/events.ts';
import { REKEY_VERSION } from '../../../shared/version.ts';

const HOME = { tenant: 'acme', account: '111122223333', region: 'eu-central-1', holders: [] };

function draft(index: number): AuditDraft {
  return {
    action: index === 0 ? 'registered' : 'window-opened',
    time: new Date(1_767_225_600_000 + index * 1000).toISOString(),
    trigger: { kind: 'operator', actor: 'arn:aws:iam::111122223333:role/ops', reason: `nr ${index}` },
    correlationId: 'rotation',
    holders: ['fleet'],
    evidence: { index },
  };
}

function chain(length: number, id = 'c1'): { records: AuditRecord[]; head: { seq: number; chain: string } } {
  const head = { seq: 0, chain: GENESIS };
  const records = Array.from({ length }, (_, index) => {
    const record = seal({ ...HOME, id, name: 'orders', ...head }, draft(index));
    head.seq = record.metadata.sequence;
    head.chain = record.integrity.hash;
    return record;
  });
  return { records, head };
}

const edited = (record: AuditRecord, actor: string): AuditRecord => ({
  ...record,
  actor: { user: { uid: actor } },
});
const rehashed = (record: AuditRecord): AuditRecord => ({
  ...record,
  integrity: { ...record.integrity, hash: hashOf(record) },
});
const replaced = <T>(list: readonly T[], at: number, item: T): T[] =>
  list.map((one, i) => (i === at ? item : one));

/** Each takes a whole chain and a position and damages it. */
const TAMPERING: Record<string, (records: AuditRecord[], at: number) => AuditRecord[]> = {
  'a changed field': (records, at) => replaced(records, at, edited(records[at] as AuditRecord, 'nobody')),
  'a changed field with its hash made anew': (records, at) =>
    replaced(records, at, rehashed(edited(records[at] as AuditRecord, 'nobody'))),
  'a removed record': (records, at) => records.toSpliced(at, 1),
  'a cut-off end': (records, at) => records.slice(0, at),
  'a cut-off beginning': (records, at) => records.slice(at + 1),
  'a record twice': (records, at) => records.toSpliced(at, 0, records[at] as AuditRecord),
  'two numbers exchanged': (records, at) => {
    const other = at === 0 ? 1 : at - 1;
    const number = (record: AuditRecord, sequence: number): AuditRecord =>
      rehashed({ ...record, metadata: { ...record.metadata, sequence } });
    const [a, b] = [records[at] as AuditRecord, records[other] as AuditRecord];
    return replaced(replaced(records, at, number(b, at + 1)), other, number(a, other + 1));
  },
  'a record of another credential': (records, at) =>
    replaced(records, at, chain(at + 1, 'c2').records[at] as AuditRecord),
  'a removed hash': (records, at) =>
    replaced(records, at, {
      ...(records[at] as AuditRecord),
      integrity: { ...(records[at] as AuditRecord).integrity, hash: '' },
    }),
  'a changed link': (records, at) => {
    const record = records[at] as AuditRecord;
    return replaced(
      records,
      at,
      rehashed({ ...record, integrity: { ...record.integrity, previous: `sha256:${'f'.repeat(64)}` } }),
    );
  },
  'an inserted record': (records, at) => {
    const before = records[at] as AuditRecord;
    const forged = seal(
      { ...HOME, id: 'c1', name: 'orders', seq: before.metadata.sequence, chain: before.integrity.hash },
      { ...draft(99), action: 'retired', deactivation: 'CONFIRMED' },
    );
    return records.toSpliced(at + 1, 0, forged);
  },
  'a tail written anew and chained': (records, at) => {
    let previous = at === 0 ? GENESIS : (records[at - 1] as AuditRecord).integrity.hash;
    return records.map((record, index) => {
      if (index < at) return record;
      const next = rehashed({
        ...edited(record, 'nobody'),
        integrity: { ...record.integrity, previous },
      });
      previous = next.integrity.hash;
      return next;
    });
  },
};

describe('the audit chain', () => {
  it('is whole for every clean chain, in any order of reading', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer(), (length, seed) => {
        const { records, head } = chain(length);
        const shuffled = [...records].sort(
          (a, b) => hashOf(a).localeCompare(hashOf(b)) * (seed % 2 === 0 ? 1 : -1),
        );
        expect(checkChain(shuffled, head)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it.for(Object.entries(TAMPERING))('%s is found at any place', ([, tamper]) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }).chain((length) => fc.tuple(fc.constant(length), fc.nat(length - 1))),
        ([length, at]) => {
          const { records, head } = chain(length);
          expect(checkChain(tamper(records, at), head)).not.toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each([
    ['window-opened', 1],
    ['rollback-refused', 3],
    ['rolled-back', 3],
    ['stuck', 4],
    ['emergency-revocation-failed', 5],
  ] as const)('says how severe %s is: %i', (action, severity) => {
    const sealed = seal(
      { ...HOME, id: 'c1', name: 'orders', seq: 0, chain: GENESIS },
      { ...draft(1), action },
    );
    expect(sealed.severity_id).toBe(severity);
  });

  it('hard decision 12: each record names tenant, account and home region, and Rekey’s version', () => {
    const [record] = chain(1).records;
    expect(record).toMatchObject({
      metadata: { tenant_uid: 'acme', product: { version: REKEY_VERSION } },
      cloud: { account: { uid: '111122223333' }, region: 'eu-central-1' },
    });
    const packageJson = JSON.parse(
      readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect(REKEY_VERSION).toBe(packageJson.version);
  });

  it('hard decision 12: so does each event, with a name that a repeated delivery shares', () => {
    const event = eventOf(chain(2).records[1] as AuditRecord);
    expect(event?.detail).toMatchObject({
      id: 'c1-2',
      tenant: 'acme',
      account: '111122223333',
      region: 'eu-central-1',
    });
    expect(JSON.stringify(event)).not.toContain('evidence');
  });

  it('of older records, which name no fleets, stays whole', () => {
    const { records, head } = chain(3);
    let previous = GENESIS;
    const older = records.map((record) => {
      const { fleets: _later, ...data } = record.entity.data;
      const before = { ...record, entity: { ...record.entity, data } };
      const sealed = rehashed({ ...before, integrity: { ...record.integrity, previous } });
      previous = sealed.integrity.hash;
      return sealed;
    });
    expect(checkChain(older, { ...head, chain: previous })).toEqual([]);
  });

  it('holds what an auditor asks: trigger, actor, fingerprints, holders and window (A1)', () => {
    const record = seal(
      { ...HOME, id: 'c1', name: 'orders', seq: 0, chain: GENESIS },
      {
        ...draft(1),
        oldFingerprint: 'sha256:old',
        newFingerprint: 'sha256:new',
        window: { opensAt: 'a', earliestClose: 'b', deadline: 'c', cap: 'd' },
      },
    );
    expect(record.actor.user.uid).toBe('arn:aws:iam::111122223333:role/ops');
    expect(record.entity.data).toMatchObject({
      trigger: 'operator',
      old_fingerprint: 'sha256:old',
      new_fingerprint: 'sha256:new',
      holders: ['fleet'],
      window_opens: 'a',
      window_closes: 'c',
    });
  });
});

import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { auditPage, joinAudit } from '../../../shared/api/audit-answer.ts';
import { headOf } from '../../../shared/api/audit-span.ts';
import { auditAnswer, type AuditAnswer } from '../../../shared/api/messages.ts';
import type { AuditDraft, AuditRecord } from '../../../shared/domain/audit.ts';
import { bodyOf, CALLER, chainOf, credentialOf, eventOf, FakeLedger, fakeServices, ID } from './fakes.ts';

type Draft = Pick<AuditDraft, 'action' | 'time'> & Partial<AuditDraft>;

const first: Draft[] = [
  { action: 'registration-intended', time: '2026-01-01T00:01:01.000Z' },
  { action: 'registered', time: '2026-01-01T00:02:00.000Z' },
];

/** A rotation from `old` to `next` that opens at the end of January and is retired in February. */
function rotation(id: string, opened: string, retired: string, old: string, next: string): Draft[] {
  const keys = { correlationId: id, oldFingerprint: old, newFingerprint: next };
  return [
    {
      action: 'window-opened',
      time: opened,
      trigger: { kind: 'operator', actor: CALLER, reason: 'left' },
      ...keys,
    },
    { action: 'revocation-intended', time: retired, ...keys },
    { action: 'retired', time: retired, deactivation: 'CONFIRMED', ...keys },
  ];
}

const drafts = [
  ...first,
  ...rotation('r-1', '2026-01-31T23:50:00.000Z', '2026-02-01T00:30:00.000Z', 'fp-1', 'fp-2'),
  ...rotation('r-2', '2026-03-01T10:00:00.000Z', '2026-03-01T10:40:00.000Z', 'fp-2', 'fp-3'),
];
const credential = credentialOf({ registeredAt: '2026-01-01T00:01:01.000Z' });
const { head, records } = chainOf(credential, drafts);
const span = { from: '2026-01-01', to: '2026-12-31' };

function whole(given: readonly AuditRecord[] = records): AuditAnswer {
  return joinAudit([auditPage({ ...span, records: given, heads: [headOf(head)] })]);
}

describe('the auditor’s answer', () => {
  it('has every rotation with its date, actor and the confirmed end of the old credential', () => {
    expect(whole()).toEqual({
      ...span,
      records: 8,
      rotations: [
        {
          credential: 'orders-db',
          credentialId: ID,
          rotation: 'r-1',
          trigger: 'operator',
          reason: 'left',
          actor: CALLER,
          rotatedAt: '2026-01-31T23:50:00.000Z',
          oldFingerprint: 'fp-1',
          newFingerprint: 'fp-2',
          oldHandle: '',
          outcome: 'completed',
          endedAt: '2026-02-01T00:30:00.000Z',
          deactivatedAt: '2026-02-01T00:30:00.000Z',
          deactivation: 'CONFIRMED',
        },
        expect.objectContaining({ rotation: 'r-2', deactivation: 'CONFIRMED' }),
      ],
      events: [expect.objectContaining({ action: 'registered' })],
      chain: { checked: 8, faults: [], complete: 1, chains: 1, later: 0, ends: expect.any(Array) },
    });
  });

  it('confirms a deactivation only where a record says so', () => {
    const unsure = drafts.map((draft) =>
      draft.action === 'retired' && draft.correlationId === 'r-2'
        ? { ...draft, deactivation: 'NOT CONFIRMED' as const }
        : draft,
    );
    const [one, two] = whole(chainOf(credential, unsure).records).rotations;
    expect(one?.deactivation).toBe('CONFIRMED');
    expect(two).toMatchObject({ deactivation: 'NOT CONFIRMED', outcome: 'completed' });
    expect(two?.deactivatedAt).toBeUndefined();
  });

  it('shows an open window as not confirmed', () => {
    const [last] = whole(chainOf(credential, drafts.slice(0, 3)).records).rotations;
    expect(last).toMatchObject({ outcome: 'open', deactivation: 'NOT CONFIRMED' });
  });

  it('shows a rotation whose old credential only a person can end as awaiting them, until the upstream confirms it', () => {
    const asked: Draft = {
      action: 'operator-awaited',
      time: '2026-02-01T00:10:00.000Z',
      correlationId: 'r-1',
      oldFingerprint: 'fp-1',
      deactivation: 'NOT CONFIRMED',
      evidence: { byHand: 'delete the key' },
    };
    const [opened, ...rest] = drafts.slice(2, 5);
    const until = (...more: Draft[]) =>
      whole(
        chainOf(credential, [...first, ...(opened === undefined ? [] : [opened]), asked, ...more]).records,
      );
    const waiting = until();
    expect(waiting.rotations).toMatchObject([
      { outcome: 'awaiting-operator', deactivation: 'NOT CONFIRMED' },
    ]);
    expect(waiting.rotations[0]?.endedAt).toBeUndefined();
    expect(waiting.events?.at(-1)).toMatchObject({ action: 'operator-awaited', detail: 'delete the key' });
    expect(until(...rest).rotations).toMatchObject([{ outcome: 'completed', deactivation: 'CONFIRMED' }]);
  });

  it('does not take the asking of an emergency for the outcome of its replacement', () => {
    const emergency = { kind: 'emergency' as const, actor: CALLER };
    const chain = chainOf(credential, [
      ...first,
      {
        action: 'operator-awaited',
        time: '2026-02-01T00:10:00.000Z',
        trigger: emergency,
        correlationId: 'r-1',
        deactivation: 'NOT CONFIRMED',
      },
      { action: 'replaced', time: '2026-02-01T00:20:00.000Z', trigger: emergency, correlationId: 'r-1' },
    ]);
    expect(whole(chain.records).rotations).toMatchObject([{ outcome: 'completed' }]);
  });

  it('does not take a later rotation’s end of the same credential for that of one rolled back', () => {
    const chain = chainOf(credential, [
      ...first,
      {
        action: 'window-opened',
        time: '2026-02-01T00:00:00.000Z',
        correlationId: 'r-1',
        oldFingerprint: 'fp-1',
      },
      {
        action: 'rolled-back',
        time: '2026-02-01T01:00:00.000Z',
        correlationId: 'r-1',
        deactivation: 'NOT CONFIRMED',
      },
      ...rotation('r-2', '2026-03-01T10:00:00.000Z', '2026-03-01T10:40:00.000Z', 'fp-1', 'fp-3'),
    ]);
    expect(whole(chain.records).rotations).toMatchObject([
      { rotation: 'r-1', outcome: 'rolled-back', deactivation: 'NOT CONFIRMED' },
      { rotation: 'r-2', outcome: 'completed', deactivation: 'CONFIRMED' },
    ]);
  });

  it('finds the confirmation of an emergency’s revocation by the fingerprint', () => {
    const chain = chainOf(credential, [
      ...first,
      {
        action: 'emergency-revoked',
        time: '2026-02-01T00:00:00.000Z',
        incidentId: 'INC-7',
        oldFingerprint: 'fp-1',
        deactivation: 'CONFIRMED',
      },
      {
        action: 'replaced',
        time: '2026-02-01T00:00:05.000Z',
        incidentId: 'INC-7',
        correlationId: 'r-9',
        oldFingerprint: 'fp-1',
        newFingerprint: 'fp-2',
      },
    ]);
    expect(whole(chain.records).rotations).toMatchObject([
      { rotation: 'r-9', deactivation: 'CONFIRMED', deactivatedAt: '2026-02-01T00:00:00.000Z' },
    ]);
  });
});

describe('what else happened', () => {
  const at = (minute: number): string => `2026-04-01T00:${String(minute).padStart(2, '0')}:00.000Z`;
  const alice = { kind: 'operator' as const, actor: CALLER, reason: 'change freeze' };

  it('is every fact that no rotation tells, with its actor and its reason', () => {
    const chain = chainOf(credential, [
      ...drafts,
      { action: 'paused', time: at(1), trigger: alice },
      { action: 'unpaused', time: at(2), trigger: alice },
      {
        action: 'leak-reported',
        time: at(3),
        trigger: alice,
        incidentId: 'INC-9',
        oldFingerprint: 'fp-1',
        evidence: { outcome: 'not-confirmed', deactivation: { confirmed: false }, why: 'it may log in' },
      },
      { action: 'emergency-intended', time: at(4), incidentId: 'INC-9' },
      { action: 'emergency-revoked', time: at(5), incidentId: 'INC-9', deactivation: 'CONFIRMED' },
      { action: 'replacement-failed', time: at(6), evidence: { step: 'generate', cause: 'Timeout' } },
      { action: 'unregister-intended', time: at(7), trigger: alice },
      { action: 'unregistered', time: at(8), trigger: alice },
    ]);
    const { events = [] } = whole(chain.records);
    expect(events.map(({ action }) => action)).toEqual([
      'registered',
      'paused',
      'unpaused',
      'leak-reported',
      'emergency-revoked',
      'replacement-failed',
      'unregistered',
    ]);
    expect(events[1]).toMatchObject({ seq: 9, at: at(1), actor: CALLER, reason: 'change freeze' });
    expect(events[3]).toMatchObject({
      incident: 'INC-9',
      fingerprint: 'fp-1',
      detail: 'not-confirmed; it may log in',
    });
    expect(events[4]).toMatchObject({ deactivation: 'CONFIRMED' });
    expect(events[5]).toMatchObject({ detail: 'generate; Timeout' });
  });

  it('is also a certificate that was revoked, of which its intent is the only record', () => {
    const { events = [] } = whole(
      chainOf(credential, [
        ...drafts,
        {
          action: 'certificate-revocation-intended',
          time: at(1),
          trigger: alice,
          incidentId: 'INC-9',
          evidence: { serial: '5f0c9a', authority: 'a-1', id: 'spiffe://shop/checkout' },
        },
      ]).records,
    );
    expect(events.at(-1)).toMatchObject({
      action: 'certificate-revocation-intended',
      incident: 'INC-9',
      detail: 'certificate 5f0c9a; spiffe://shop/checkout',
    });
  });

  it('tells of what only a newer version knows, and keeps to what an evidence says in words', () => {
    const chain = chainOf(credential, [
      // A record that a version after this one has written.
      {
        action: 'quarantined' as AuditDraft['action'],
        time: at(1),
        evidence: { message: { of: 'another form' } },
      },
      {
        action: 'declaration-changed',
        time: at(2),
        evidence: { changes: [{ field: 'mode' }, { field: 'holders' }] },
      },
    ]);
    const { events = [] } = whole(chain.records);
    expect(events[0]).toMatchObject({ action: 'quarantined' });
    expect(events[0]).not.toHaveProperty('detail');
    expect(events[1]).toMatchObject({ detail: 'changed: mode, holders' });
  });

  it('has the end of a rotation where its line stands in the answer about an earlier span', () => {
    const february = { from: '2026-02-01', to: '2026-02-28' };
    const own = records.filter(({ time_dt: time }) => time.startsWith('2026-02'));
    const told = joinAudit([auditPage({ ...february, records: own, heads: [headOf(head)] })]);
    expect(told.rotations).toEqual([]);
    expect(told.events).toMatchObject([{ action: 'retired', rotation: 'r-1', deactivation: 'CONFIRMED' }]);
    // Over pages, the line may stand on another one.
    const pages = ['2026-01', '2026-02', '2026-03'].map((month) =>
      auditPage({
        ...span,
        records: records.filter(({ time_dt: time }) => time.startsWith(month)),
        ...(month === '2026-03' ? { heads: [headOf(head)] } : { next: 'more' }),
      }),
    );
    expect(joinAudit(pages).events?.map(({ action }) => action)).toEqual(['registered']);
  });

  it('is left out where a page comes from a deployment that has none', () => {
    const { events: _none, ...older } = auditPage({ ...span, records: [], next: '2026-05' });
    const joined = joinAudit([older, auditPage({ ...span, records, heads: [headOf(head)] })]);
    expect(joined).not.toHaveProperty('events');
    expect(joined.rotations).toHaveLength(2);
  });
});

describe('the answer about a rotation that something cut short', () => {
  it('does not take the end of an aborted new credential for that of the old one', () => {
    const aborted = { oldFingerprint: 'fp-1', newFingerprint: 'fp-x', correlationId: 'r-0' };
    const chain = chainOf(credential, [
      ...first,
      { action: 'aborted', time: '2026-01-10T00:00:00.000Z', deactivation: 'CONFIRMED', ...aborted },
      ...rotation('r-1', '2026-02-01T00:00:00.000Z', '2026-02-01T01:00:00.000Z', 'fp-1', 'fp-2').slice(0, 2),
    ]);
    expect(whole(chain.records).rotations).toMatchObject([
      { rotation: 'r-1', deactivation: 'NOT CONFIRMED' },
    ]);
  });

  it('finds the end of its old credential among the handles that an emergency killed', () => {
    const revocation = (confirmed: boolean): Draft[] => [
      ...first,
      {
        action: 'window-opened',
        time: '2026-02-01T00:00:00.000Z',
        correlationId: 'r-1',
        oldFingerprint: 'fp-1',
        oldHandle: 'orders_a#1',
        newFingerprint: 'fp-2',
      },
      {
        action: 'emergency-intended',
        time: '2026-02-01T00:10:00.000Z',
        correlationId: 'r-2',
        evidence: { preempted: 'r-1' },
      },
      {
        action: 'emergency-revoked',
        time: '2026-02-01T00:10:01.000Z',
        correlationId: 'r-2',
        oldFingerprint: 'fp-2',
        deactivation: 'CONFIRMED',
        evidence: {
          revocation: {
            handles: [
              { handle: 'orders_a#1', deactivation: { confirmed } },
              { handle: 'orders_b#2', deactivation: { confirmed: true } },
            ],
          },
        },
      },
    ];
    expect(whole(chainOf(credential, revocation(true)).records).rotations).toMatchObject([
      { rotation: 'r-1', outcome: 'preempted', deactivation: 'CONFIRMED' },
    ]);
    expect(whole(chainOf(credential, revocation(false)).records).rotations).toMatchObject([
      { rotation: 'r-1', outcome: 'preempted', deactivation: 'NOT CONFIRMED' },
    ]);
  });
});

describe('the chain', () => {
  const faultsOf = (given: readonly AuditRecord[]): unknown =>
    whole(given).chain.faults.map(({ seq, fault }) => `${fault} ${seq}`);

  it('shows a missing record, at the beginning, inside and at the end', () => {
    expect(faultsOf(records.slice(1))).toEqual(['gap 1']);
    expect(faultsOf(records.filter((_, index) => index !== 3))).toEqual(['gap 4']);
    expect(faultsOf(records.slice(0, -1))).toEqual(['gap 8']);
    expect(faultsOf([])).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((seq) => `gap ${seq}`));
  });

  it('shows a changed record, a duplicate and a replaced tail', () => {
    const forged = records.map((record, index) =>
      index === 4 ? { ...record, actor: { user: { uid: 'somebody-else' } } } : record,
    );
    expect(faultsOf(forged)).toEqual(['hash 5']);
    expect(faultsOf([...records, ...records.slice(2, 3)])).toEqual(['duplicate 3']);
    const other = chainOf(credential, [
      ...drafts.slice(0, -1),
      { action: 'kept', time: '2026-03-01T10:40:00.000Z' },
    ]);
    expect(faultsOf(other.records)).toEqual(['link 8']);
  });

  it('of a span that begins later is checked inside the span only', () => {
    const later = { from: '2026-03-01', to: '2026-12-31' };
    const own = records.filter(({ time_dt: time }) => time >= '2026-03');
    const joined = joinAudit([auditPage({ ...later, records: own, heads: [headOf(head)] })]);
    expect(joined.chain).toEqual({
      checked: 3,
      faults: [],
      complete: 1,
      chains: 1,
      later: 0,
      ends: expect.any(Array),
    });
    const broken = joinAudit([auditPage({ ...later, records: own.slice(0, 2), heads: [headOf(head)] })]);
    expect(broken.chain.faults).toEqual([{ credentialId: ID, seq: 8, fault: 'gap' }]);
  });

  it('of a span that ends earlier is not called incomplete', () => {
    const earlier = { from: '2026-01-01', to: '2026-01-31' };
    const own = records.filter(({ time_dt: time }) => time < '2026-02');
    const joined = joinAudit([auditPage({ ...earlier, records: own, heads: [headOf(head)] })]);
    expect(joined.chain).toEqual({
      checked: 3,
      faults: [],
      complete: 0,
      chains: 1,
      later: 1,
      ends: expect.any(Array),
    });
  });

  it('is whole over pages, in any order, with late records of an earlier month', () => {
    const late = chainOf(credential, [
      ...drafts.slice(0, 4),
      { action: 'emergency-revoked', time: '2026-01-15T00:00:00.000Z', incidentId: 'INC-7' },
      ...drafts.slice(4),
    ]);
    const pages = ['2026-03', '2026-01', '2026-02'].map((month) =>
      auditPage({
        ...span,
        records: late.records.filter(({ time_dt: time }) => time.startsWith(month)),
        ...(month === '2026-03' ? { heads: [headOf(late.head)] } : {}),
      }),
    );
    const joined = joinAudit(pages);
    expect(joined.chain).toEqual({
      checked: 9,
      faults: [],
      complete: 1,
      chains: 1,
      later: 0,
      ends: expect.any(Array),
    });
    expect(joined.rotations).toMatchObject([
      { rotation: 'r-1', deactivation: 'CONFIRMED', outcome: 'completed' },
      { rotation: 'r-2', deactivation: 'CONFIRMED' },
    ]);
    const lost = joinAudit(pages.slice(0, 2));
    expect(lost.chain.faults.map(({ seq, fault }) => `${fault} ${seq}`)).toEqual(['gap 4', 'gap 6']);
  });
});

describe('GET /v1/audit', () => {
  const ask = async (ledger: FakeLedger, query: Record<string, string>): Promise<Record<string, unknown>> =>
    bodyOf((await answer(eventOf('GET', '/v1/audit', { query }), fakeServices(ledger))).response);

  it('covers the last twelve months by default', async () => {
    const ledger = new FakeLedger().add(head, records);
    const told = await ask(ledger, {});
    expect(told).toMatchObject({ from: '2025-11-22', to: '2026-11-22', records: 8, chain: { faults: [] } });
    expect(ledger.monthsRead).toHaveLength(13);
    expect(told['rest']).toBeUndefined();
  });

  it('answers for one credential by name, and by id after it is gone', async () => {
    const ledger = new FakeLedger().add(head, records);
    expect(await ask(ledger, { credential: 'orders-db', from: '2026-03-01' })).toMatchObject({
      records: 3,
      rotations: [{ rotation: 'r-2' }],
    });
    expect(ledger.monthsRead).toEqual([]);
    ledger.credentials.clear();
    expect(await ask(ledger, { credential: ID })).toMatchObject({ records: 8, chain: { complete: 0 } });
    expect(await ask(ledger, { credential: 'nobody' })).toMatchObject({
      code: 'ERR_NOT_FOUND',
      field: 'credential',
    });
  });

  it('checks the chain of what is unregistered to its end, though no list has it', async () => {
    const gone = chainOf(credential, [
      ...drafts,
      { action: 'unregistered', time: '2026-04-01T00:00:00.000Z' },
    ]);
    const ended = { ...gone.head, status: 'unregistered' as const };
    const chainAfter = async (given: readonly AuditRecord[]) =>
      (await ask(new FakeLedger().add(ended, given), {}))['chain'];
    expect(await chainAfter(gone.records)).toEqual({
      checked: 9,
      faults: [],
      complete: 1,
      chains: 1,
      later: 0,
      ends: expect.any(Array),
    });
    expect(await chainAfter(gone.records.slice(0, -1))).toMatchObject({ faults: [{ seq: 9, fault: 'gap' }] });
  });

  it('says which chains go on after the span, also of what was unregistered then', async () => {
    const gone = chainOf({ ...credential, id: 'gone', name: 'gone-db' }, [
      ...first,
      { action: 'unregistered', time: '2026-04-01T00:00:00.000Z' },
    ]);
    const ledger = new FakeLedger()
      .add(head, records)
      .add({ ...gone.head, status: 'unregistered' }, gone.records);
    const told = await ask(ledger, { from: '2025-12-20', to: '2026-01-20' });
    expect(told['chain']).toEqual({
      checked: 4,
      faults: [],
      complete: 0,
      chains: 2,
      later: 2,
      ends: expect.any(Array),
    });
  });

  it('goes on in pages where there are many records, and the pages join to the whole', async () => {
    const many = Array.from({ length: 11_000 }, (_, index) => ({
      action: 'window-waiting' as const,
      time: new Date(Date.parse('2026-01-02T00:00:00.000Z') + index * 2_000_000).toISOString(),
    }));
    const busy = chainOf(credentialOf({ registeredAt: '2026-01-01T00:01:01.000Z' }), many);
    const ledger = new FakeLedger().add(busy.head, busy.records);
    const pages: AuditAnswer[] = [];
    let page: string | undefined;
    do {
      const told = auditAnswer.parse(
        await ask(ledger, { from: '2026-01-01', to: '2026-11-22', ...(page === undefined ? {} : { page }) }),
      );
      pages.push(told);
      page = told.next;
    } while (page !== undefined);
    expect(pages.length).toBeGreaterThan(1);
    const expected = busy.records.filter(({ time_dt: time }) => time < '2026-11-23').length;
    expect(joinAudit(pages)).toMatchObject({ records: expected, chain: { checked: expected, faults: [] } });
    expect(joinAudit(pages).chain.complete).toBe(1);
  });

  it('fits into an answer of Lambda where every record of a page tells of something, at length', async () => {
    const trigger = { kind: 'operator' as const, actor: CALLER, reason: '€'.repeat(1000) };
    const many = Array.from({ length: 5000 }, (_, index) => ({
      action: 'paused' as const,
      time: new Date(Date.parse('2026-01-02T00:00:00.000Z') + index * 1000).toISOString(),
      trigger,
      evidence: { message: '€'.repeat(1000) },
    }));
    const busy = chainOf(credentialOf({ registeredAt: '2026-01-01T00:01:01.000Z' }), many);
    const ledger = new FakeLedger().add(busy.head, busy.records);
    const told = auditAnswer.parse(await ask(ledger, { from: '2026-01-01', to: '2026-01-31' }));
    expect(told.events).toHaveLength(5000);
    expect(told.events?.[0]).toMatchObject({ reason: `${'€'.repeat(80)}…`, detail: `${'€'.repeat(80)}…` });
    expect(Buffer.byteLength(JSON.stringify(told))).toBeLessThan(6_000_000);
  });

  it('reads what has just changed from the table, because the index lags', async () => {
    const fresh = chainOf(head, [{ action: 'rotation-announced', time: '2026-11-22T11:59:50.000Z' }]);
    const ledger = new FakeLedger().add(fresh.head, records);
    ledger.unindexed = fresh.records;
    expect(await ask(ledger, {})).toMatchObject({ records: 9, chain: { faults: [], complete: 1 } });
  });

  it.each([
    [{ from: '2026-13-01' }, 'from'],
    [{ from: '2026-02-30' }, 'from'],
    [{ to: 'yesterday' }, 'to'],
    [{ from: '2026-05-01', to: '2026-04-01' }, 'from'],
    [{ from: '1990-01-01' }, 'from'],
    [{ page: '2020-01' }, 'page'],
    [{ since: '2026-01-01' }, 'since'],
  ])('refuses %j', async (query, field) => {
    expect(await ask(new FakeLedger(), query)).toMatchObject({ code: 'ERR_REQUEST', field, status: 400 });
  });
});

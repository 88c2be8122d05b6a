import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { joinAudit } from '../../../shared/api/audit-answer.ts';
import { auditAnswer, type AuditAnswer } from '../../../shared/api/messages.ts';
import type { AuditDraft } from '../../../shared/domain/audit.ts';
import { bodyOf, chainOf, credentialOf, eventOf, FakeLedger, fakeServices, ID } from './fakes.ts';

/** One chain in which nothing is missing. */
const whole = (checked: number): object => ({
  checked,
  faults: [],
  complete: 1,
  chains: 1,
  later: 0,
  ends: expect.any(Array),
});

type Draft = Pick<AuditDraft, 'action' | 'time'> & Partial<AuditDraft>;

const credential = credentialOf({ registeredAt: '2026-01-05T00:00:00.000Z' });
const keys = { correlationId: 'r-1', oldFingerprint: 'fp-1', newFingerprint: 'fp-2' };
const registered: Draft[] = [
  { action: 'registration-intended', time: '2026-01-05T00:00:00.000Z' },
  { action: 'registered', time: '2026-01-05T00:00:01.000Z' },
];
const opened: Draft = { action: 'window-opened', time: '2026-01-31T23:50:00.000Z', ...keys };
const retired: Draft[] = [
  { action: 'revocation-intended', time: '2026-02-01T00:20:00.000Z', ...keys },
  { action: 'retired', time: '2026-02-01T00:30:00.000Z', deactivation: 'CONFIRMED', ...keys },
];
const waiting = (time: string): Draft => ({ action: 'window-waiting', time });

/** Asks as `rekey audit` does: page by page, joined. */
async function ask(ledger: FakeLedger, query: Record<string, string>): Promise<AuditAnswer> {
  const pages: AuditAnswer[] = [];
  for (let page: string | undefined, more = true; more; more = page !== undefined) {
    const event = eventOf('GET', '/v1/audit', {
      query: { ...query, ...(page === undefined ? {} : { page }) },
    });
    const told = auditAnswer.parse(bodyOf((await answer(event, fakeServices(ledger))).response));
    pages.push(told);
    page = told.next;
  }
  const [only] = pages;
  return pages.length === 1 && only?.rest === undefined && only !== undefined ? only : joinAudit(pages);
}

const january = { from: '2026-01-01', to: '2026-01-31' };
const ledgerOf = (drafts: readonly Draft[], of = credential): FakeLedger => {
  const { head, records } = chainOf(of, drafts);
  return new FakeLedger().add(head, records);
};
const faultsOf = ({ chain }: AuditAnswer): string[] =>
  chain.faults.map(({ fault, seq }) => `${fault} ${seq}`);

describe('a rotation that crosses the end of the span', () => {
  it.each([{}, { credential: 'orders-db' }])(
    'is told with its end, which is after the span: %j',
    async (more) => {
      const told = await ask(ledgerOf([...registered, opened, ...retired]), { ...january, ...more });
      expect(told).toMatchObject({
        records: 3,
        rotations: [
          {
            rotation: 'r-1',
            outcome: 'completed',
            endedAt: '2026-02-01T00:30:00.000Z',
            deactivation: 'CONFIRMED',
            deactivatedAt: '2026-02-01T00:30:00.000Z',
          },
        ],
        chain: { checked: 3, faults: [], complete: 1 },
      });
    },
  );

  it('is open where it has not ended until now', async () => {
    const told = await ask(ledgerOf([...registered, opened]), january);
    expect(told.rotations).toMatchObject([{ outcome: 'open', deactivation: 'NOT CONFIRMED' }]);
    expect(told.rotations[0]?.endedAt).toBeUndefined();
  });

  it('has its end on whichever page it began', async () => {
    const filler = Array.from({ length: 6000 }, () => waiting('2026-02-02T00:00:00.000Z'));
    const late: Draft[] = retired.map((draft) => ({ ...draft, time: '2026-04-01T00:30:00.000Z' }));
    const ledger = ledgerOf([...registered, opened, ...filler, waiting('2026-03-03T00:00:00.000Z'), ...late]);
    const told = await ask(ledger, { from: '2026-01-01', to: '2026-03-31' });
    expect(told.rotations).toMatchObject([{ outcome: 'completed', endedAt: '2026-04-01T00:30:00.000Z' }]);
    expect(told).toMatchObject({ records: 6004, chain: { checked: 6004, faults: [] } });
  });

  it('of which the old credential was kept is told with the end of that credential', async () => {
    const kept: Draft = { action: 'kept', time: '2026-01-31T23:59:00.000Z', ...keys };
    const told = await ask(ledgerOf([...registered, opened, kept, ...retired.slice(1)]), january);
    expect(told.rotations).toMatchObject([
      { deactivation: 'CONFIRMED', deactivatedAt: '2026-02-01T00:30:00.000Z' },
    ]);
  });
});

describe('a chain at the edges of a span', () => {
  const disagreeing = (before: string, edge: string, after: string): Draft[] => [
    ...registered,
    waiting(before),
    waiting(edge),
    waiting(after),
    waiting('2026-06-01T00:00:00.000Z'),
  ];

  it.each([{}, { credential: 'orders-db' }])(
    'has no gap where the clock of one function was ahead at the end: %j',
    async (more) => {
      const drafts = disagreeing(
        '2026-01-31T23:59:58.000Z',
        '2026-02-01T00:00:01.000Z',
        '2026-01-31T23:59:59.500Z',
      );
      const told = await ask(ledgerOf(drafts), { ...january, ...more });
      expect(told.chain).toEqual(whole(5));
    },
  );

  it('has none where the one before stands in another month', async () => {
    const drafts = disagreeing(
      '2026-01-15T00:00:00.000Z',
      '2026-03-01T00:00:01.000Z',
      '2026-02-28T23:59:59.500Z',
    );
    const told = await ask(ledgerOf(drafts), { from: '2026-01-01', to: '2026-02-28' });
    expect(told.chain).toEqual(whole(5));
  });

  it('has none where a clock was behind at its beginning', async () => {
    const drafts = disagreeing(
      '2026-02-01T00:00:00.500Z',
      '2026-01-31T23:59:59.000Z',
      '2026-02-01T00:00:02.000Z',
    );
    const told = await ask(ledgerOf(drafts), { from: '2026-02-01', to: '2026-02-28' });
    expect(told.chain).toEqual(whole(3));
  });

  it('has none where the head was written by a clock behind that of its newest record', async () => {
    const { head, records } = chainOf(credential, [
      ...registered,
      waiting('2026-01-31T23:59:59.000Z'),
      waiting('2026-02-01T00:00:03.000Z'),
    ]);
    const ledger = new FakeLedger().add({ ...head, updatedAt: '2026-01-31T23:59:59.800Z' }, records);
    expect((await ask(ledger, january)).chain).toEqual(whole(4));
  });

  it('has none for a registration in the first moments of the span', async () => {
    const early = credentialOf({ registeredAt: '2026-01-01T00:00:00.010Z' });
    const drafts: Draft[] = [
      { action: 'registration-intended', time: '2026-01-01T00:00:00.010Z' },
      { action: 'registered', time: '2025-12-31T23:59:59.900Z' },
      waiting('2026-01-01T00:00:05.000Z'),
    ];
    const told = await ask(ledgerOf(drafts, early), january);
    expect(told.chain).toEqual(whole(3));
  });

  it('has one where its last record is missing, because the next one knows its number', async () => {
    const ledger = ledgerOf([...registered, waiting('2026-01-31T23:55:00.000Z'), opened, ...retired]);
    ledger.trail = ledger.trail.filter(({ metadata }) => metadata.sequence !== 4);
    expect(faultsOf(await ask(ledger, january))).toEqual(['gap 4']);
    expect(faultsOf(await ask(ledger, { ...january, credential: ID }))).toEqual(['gap 4']);
  });

  it('has one where nothing is left of a registration in the span', async () => {
    const ledger = ledgerOf([...registered, ...retired]);
    ledger.trail = ledger.trail.filter(({ time_dt: time }) => time >= '2026-02');
    expect(faultsOf(await ask(ledger, january))).toEqual(['gap 1']);
  });
});

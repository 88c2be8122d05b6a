import { describe, expect, it } from 'vitest';
import { reportOf } from '../../../shared/api/incident-report.ts';
import type { ReaderView, ToldUse, TraceAnswer, UsesAnswer } from '../../../shared/api/messages.ts';
import { joined, type SeenReader } from '../../../shared/domain/readers.ts';

const at = (day: number, hour = 0, minute = 0): string =>
  new Date(Date.UTC(2026, 10, day, hour, minute)).toISOString();

type Told = Pick<TraceAnswer, 'holders'> &
  Pick<UsesAnswer, 'coverage' | 'keptSince'> & { readonly type: string };

/** The report of a value that was made on the 10th at noon and died ten days later. */
function reported(readers: readonly ReaderView[], upstream: readonly ToldUse[] = []) {
  return reportOfReaders(readers, upstream)?.uses ?? [];
}

function reportOfReaders(
  readers: readonly ReaderView[],
  upstream: readonly ToldUse[] = [],
  { holders = [], coverage = [], keptSince = at(1), type = 'postgresql' }: Partial<Told> = {},
) {
  const trace: TraceAnswer = {
    incident: 'INC-1',
    credential: {
      id: 'c1',
      name: 'orders',
      type,
      provider: 'postgresql',
      access: 'write',
      sensitivity: 'high',
      opens: [],
    },
    since: at(1),
    keys: [
      {
        fingerprint: 'sha256:1',
        handle: 'orders_a#1',
        versionIds: ['v1'],
        madeAt: at(10, 12),
        endedAt: at(20),
      },
    ],
    moments: [{ at: at(20), action: 'emergency-intended', actor: 'a', reason: 'r' }],
    holes: [],
    holders,
    readers: [...readers],
    seenBefore: [],
  };
  const { credentials } = reportOf(
    'INC-1',
    [{ trace, told: { uses: [], upstream: [...upstream], coverage, keptSince } }],
    [],
    {},
    Date.parse(at(21)),
  );
  return credentials[0];
}

describe('a report', () => {
  it('has a reader that may have read the value, though it was written down last before there was one', () => {
    const reader = {
      kind: 'role',
      principal: 'arn:aws:iam::1:role/somebody',
      firstSeen: at(5),
      lastSeen: at(10, 11, 30),
    } as const;
    expect(reported([reader])).toMatchObject([{ who: reader.principal, to: at(10, 12, 30) }]);
    expect(reported([{ ...reader, lastSeen: at(10, 10, 30) }])).toEqual([]);
  });

  const session = { kind: 'session', principal: 'orders_a', name: 'app' } as const;
  const from = (address: string, day: number): SeenReader => ({
    ...session,
    address,
    firstSeen: at(day),
    lastSeen: at(day),
  });
  const addressOf = (use: ReturnType<typeof reported>[number] | undefined) =>
    use?.findings.find(({ aspect }) => aspect === 'address');

  it('has each address of a login as a use of its own: one that came in between is not hidden by the ordinary one', () => {
    const seen = [from('10.0.0.1', 2), from('10.0.0.1', 12), from('203.0.113.66', 15), from('10.0.0.1', 16)];
    const uses = reported([seen.reduce(joined)]);
    expect(uses.map((use) => [use.address, use.from, use.to, use.class, addressOf(use)?.verdict])).toEqual([
      ['10.0.0.1', at(2), at(16), 'unexplained', 'fits'],
      ['203.0.113.66', at(15), at(15), 'suspect', 'contradicts'],
    ]);
  });

  it('knows no address as an ordinary one that was first seen within the exposure', () => {
    const uses = reported([[from('203.0.113.66', 15), from('203.0.113.67', 16)].reduce(joined)]);
    expect(uses.map((use) => addressOf(use)?.verdict)).toEqual(['unknown', 'unknown']);
  });

  it('names as a gap that a login came from more addresses than are kept', () => {
    const many = Array.from({ length: 30 }, (_, index) => from(`203.0.113.${index}`, 15)).reduce(joined);
    const why = (reader: SeenReader) =>
      reportOfReaders([reader])?.gaps.find(({ source }) => source === 'sessions at the source')?.why;
    expect(why(many)).toMatch(/app \(orders_a\) came from more than the 20 addresses that are kept/);
    expect(why(from('10.0.0.1', 15))).not.toMatch(/more than/);
  });

  it('does not call an address known of which nothing tells when it was first seen, as the version before kept it', () => {
    const kept: SeenReader = { ...session, address: '203.0.113.66', firstSeen: at(2), lastSeen: at(15) };
    for (const reader of [kept, joined(kept, from('203.0.113.66', 16))]) {
      const uses = reported([reader]);
      expect(uses.map(({ address }) => address)).toEqual(['203.0.113.66']);
      expect(addressOf(uses[0])?.verdict).toBe('unknown');
    }
  });

  const login = (
    who: string,
    address: string,
    moment: string,
    outcome: 'worked' | 'refused' = 'worked',
  ): ToldUse => ({
    source: 'database-log',
    keyId: 'orders_a',
    scope: 'orders',
    to: moment,
    who,
    address,
    from: moment,
    outcome,
  });
  const addressAt = (uses: ReturnType<typeof reported>, who: string): string | undefined =>
    uses.find((use) => use.who === who)?.findings.find(({ aspect }) => aspect === 'address')?.verdict;

  it('suspects a login from where nobody ever logged in, whatever it calls itself', () => {
    const before = login('worker', '10.0.0.1', at(9));
    const uses = reported(
      [],
      [before, login('psql', '203.0.113.66', at(15)), login('other', '10.0.0.1', at(16))],
    );
    expect(uses.map((use) => [use.who, use.class])).toEqual([
      ['psql', 'suspect'],
      ['other', 'unexplained'],
    ]);
    expect(addressAt(reported([], [login('psql', '203.0.113.66', at(15))]), 'psql')).toBe('unknown');
  });

  it('takes no address for ordinary from which somebody was refused', () => {
    const tried = login('worker', '203.0.113.66', at(9), 'refused');
    const uses = reported(
      [],
      [login('worker', '10.0.0.1', at(9)), tried, login('worker', '203.0.113.66', at(15))],
    );
    expect(addressAt(uses, 'worker')).toBe('contradicts');
  });

  it('takes a name that anybody may choose for the declared holder only from where that has come before', () => {
    const holders = [{ name: 'worker', kind: 'polling' }];
    const classes = (...uses: readonly ToldUse[]) =>
      reportOfReaders([], uses, { holders })?.uses.map((use) => use.class);
    const here = login('worker', '10.0.0.1', at(15));
    expect(classes(here)).toEqual(['unexplained']);
    expect(classes(login('worker', '10.0.0.1', at(9)), here)).toEqual(['expected']);
  });

  it('has a reader whose reads were told at first, and not until its last one', () => {
    const reader = {
      kind: 'role',
      principal: 'arn:aws:iam::1:role/a',
      firstSeen: at(12),
      lastSeen: at(15),
    } as const;
    const read = (day: number): ToldUse => ({
      source: 'cloudtrail',
      who: reader.principal,
      outcome: 'worked',
      from: at(day),
      to: at(day),
    });
    expect(reported([reader], [read(12)]).map((use) => use.from)).toEqual([at(12), at(12)]);
    expect(reported([reader], [read(12), read(15)]).map((use) => use.from)).toEqual([at(12), at(15)]);
  });

  it('has as a gap the time of which uses are forgotten, though what was told of is kept for longer', () => {
    const coverage = [{ source: 'database-log', from: at(1), to: at(21) }];
    const told = reportOfReaders([], [], { coverage, keptSince: at(11), type: 'database' });
    expect(told?.gaps.filter(({ source }) => source.includes('own log'))).toMatchObject([
      { from: at(10, 12), to: at(11) },
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { GENESIS, seal } from '../../../shared/domain/audit.ts';
import { clocksOf, monthAfter } from '../../../shared/domain/forensics/clocks.ts';
import { investigate } from '../../../shared/domain/forensics/investigate.ts';
import { trailOf } from '../../../shared/domain/forensics/trail.ts';
import { syntheticIncident, type SyntheticIncident } from '../../support/incidents.ts';

const SEEDS = 1000;

function investigated(made: SyntheticIncident) {
  const { records, incident, head, now, uses, sources, ordinary, knownGood } = made;
  const trail = trailOf(records, incident, { isMadeHere: true, head, now });
  // The first value's version stands in no record: the ledger has it with the fingerprint.
  const keys = trail.keys.map((key) =>
    key.versionIds.length > 0 ? key : { ...key, versionIds: [`version-${key.fingerprint.split('-')[1]}`] },
  );
  const { since } = trail;
  return {
    trail,
    ...investigate({
      keys,
      uses,
      sources,
      ordinary,
      since,
      now,
      ...(knownGood === undefined ? {} : { knownGood }),
    }),
  };
}

const bySession = <T extends { session?: string | undefined }>(all: readonly T[]): T[] =>
  all.toSorted((a, b) => ((a.session ?? '') < (b.session ?? '') ? -1 : 1));

describe(`${SEEDS} synthetic incidents`, () => {
  const made = Array.from({ length: SEEDS }, (_none, seed) => syntheticIncident(seed + 1));

  it('have their exposure exact to the millisecond, of every value and of no other', () => {
    for (const one of made) {
      const found = investigated(one).exposures.map(({ fingerprint, from, to }) => ({
        fingerprint,
        from,
        to,
      }));
      expect(new Set(found.map((each) => JSON.stringify(each)))).toEqual(
        new Set(one.expected.exposures.map((each) => JSON.stringify(each))),
      );
    }
  });

  it('have every use found, none made up, and each in its class', () => {
    let count = 0;
    for (const one of made) {
      const found = investigated(one).uses.map(({ session, class: as }) => ({ session, class: as }));
      expect(bySession(found)).toEqual(bySession(one.expected.uses));
      count += found.length;
    }
    expect(count).toBeGreaterThan(5 * SEEDS);
  });

  it('have every gap of every log named, and missing records too', () => {
    let holes = 0;
    for (const one of made) {
      const { gaps, trail } = investigated(one);
      const key = ({ source, from, to }: { source: string; from?: string; to: string }): string =>
        `${source} ${from ?? ''} ${to}`;
      expect(gaps.map(key).toSorted()).toEqual(one.expected.gaps.map(key).toSorted());
      expect(trail.holes).toEqual(one.expected.hole === undefined ? [] : [one.expected.hole]);
      holes += trail.holes.length;
    }
    expect(holes).toBeGreaterThan(50);
  });

  it('come in every form', () => {
    const open = made.filter(({ expected }) => expected.exposures.some(({ to }) => to === undefined));
    expect(open.length).toBeGreaterThan(20);
    expect(made.filter(({ expected }) => expected.exposures.length > 1).length).toBeGreaterThan(100);
    expect(made.filter(({ knownGood }) => knownGood !== undefined).length).toBeGreaterThan(100);
  });
});

describe('the clocks of an incident', () => {
  const deadlines = (moments: Parameters<typeof clocksOf>[0]): string[] =>
    clocksOf(moments).map(({ regime, duty, deadline }) => `${regime} ${duty.split(',')[0]} ${deadline}`);

  it('are dated from the moment of awareness', () => {
    expect(deadlines({ awareAt: '2026-01-30T10:00:00.000Z' })).toEqual([
      'GDPR notify the supervisory authority 2026-02-02T10:00:00.000Z',
      'DORA initial notification 2026-01-31T10:00:00.000Z',
      'DORA intermediate report 2026-02-03T10:00:00.000Z',
      'DORA final report 2026-03-03T10:00:00.000Z',
      'HIPAA notify individuals (and the Secretary 2026-03-31T10:00:00.000Z',
    ]);
  });

  it('of DORA run from the classification where that is told, four hours', () => {
    const told = deadlines({ awareAt: '2026-01-30T10:00:00.000Z', classifiedAt: '2026-01-30T12:00:00.000Z' });
    expect(told).toContain('DORA initial notification 2026-01-30T16:00:00.000Z');
    expect(told).toContain('DORA intermediate report 2026-02-02T16:00:00.000Z');
    const late = deadlines({ awareAt: '2026-01-30T10:00:00.000Z', classifiedAt: '2026-02-02T12:00:00.000Z' });
    expect(late.filter((each) => each.includes('initial'))).toEqual([
      'DORA initial notification 2026-02-02T16:00:00.000Z',
    ]);
  });

  it('count a month by the calendar, to its last day where it is shorter', () => {
    expect(monthAfter('2026-01-31T23:59:00.000Z')).toBe('2026-02-28T23:59:00.000Z');
    expect(monthAfter('2026-12-15T08:00:00.000Z')).toBe('2027-01-15T08:00:00.000Z');
  });
});

describe('a value that a signal has shown', () => {
  it.each(['signal-by-hand', 'signal-held', 'leak-reported'] as const)(
    'is in the report while nothing more than %s is on record',
    (action) => {
      const record = seal(
        {
          id: 'c1',
          name: 'orders',
          tenant: 't',
          account: '1',
          region: 'r',
          holders: [],
          seq: 0,
          chain: GENESIS,
        },
        {
          action,
          time: '2026-11-26T10:00:00.000Z',
          trigger: { kind: 'signal', actor: 'signal:siem' },
          incidentId: 'signal-1',
          oldFingerprint: 'sha256:1',
          oldHandle: 'login_a#1',
        },
      );
      const { keys } = trailOf([record], 'signal-1', { isMadeHere: true, now: '2026-11-26T11:00:00.000Z' });
      expect(keys).toMatchObject([{ fingerprint: 'sha256:1', handle: 'login_a#1' }]);
    },
  );
});

import { describe, expect, it } from 'vitest';
import {
  byDay,
  gathered,
  hasWorked,
  widened,
  type UpstreamUse,
} from '../../../shared/domain/upstream-use.ts';

const at = (time: string): string => `2026-11-22T${time}Z`;
const use = (from: string, to = from, changes: Partial<UpstreamUse> = {}): UpstreamUse => ({
  credentialId: 'c-1',
  source: 'cloudtrail',
  keyId: 'AKIA1',
  who: 'deployer',
  outcome: 'worked',
  from: at(from),
  to: at(to),
  ...changes,
});

describe('what an upstream tells', () => {
  const parts = [
    use('10:00:20.000'),
    use('10:00:05.000'),
    use('10:00:40.000'),
    use('10:01:00.000'),
    use('10:00:30.000', '10:00:30.000', { outcome: 'refused' }),
    use('10:00:30.000', '10:00:30.000', { credentialId: 'c-2' }),
  ];
  const sorted = (uses: readonly UpstreamUse[]) => uses.map((each) => JSON.stringify(each)).toSorted();

  it('is gathered by the minute and by all that tells uses apart', () => {
    expect(sorted(gathered(parts))).toEqual(sorted([use('10:00:05.000', '10:00:40.000'), ...parts.slice(3)]));
  });

  it('comes to the same in every order, and however often it comes', () => {
    const once = sorted(gathered(parts));
    expect(sorted(gathered(parts.toReversed()))).toEqual(once);
    expect(sorted(gathered([...gathered(parts), ...parts, ...parts]))).toEqual(once);
  });

  it('has the counts of its bucket, of which the larger is the later', () => {
    const early = use('10:00:00.000', '10:00:30.000', { succeeded: 2, refused: 0 });
    const late = use('10:00:00.000', '10:00:59.999', { succeeded: 5, refused: 1 });
    expect(widened(early, late)).toEqual(late);
    expect(widened(late, early)).toEqual(late);
  });

  it('tells whether it was let in, by its counts or by its outcome, or tells nothing', () => {
    expect([{ succeeded: 0 }, { succeeded: 1 }, { outcome: 'worked' as const }, {}].map(hasWorked)).toEqual([
      false,
      true,
      true,
      undefined,
    ]);
  });

  it('covers a time by days', () => {
    expect(byDay('2026-11-22T23:00:00.000Z', '2026-11-24T01:00:00.000Z')).toEqual([
      { day: '2026-11-22', from: '2026-11-22T23:00:00.000Z', to: '2026-11-23T00:00:00.000Z' },
      { day: '2026-11-23', from: '2026-11-23T00:00:00.000Z', to: '2026-11-24T00:00:00.000Z' },
      { day: '2026-11-24', from: '2026-11-24T00:00:00.000Z', to: '2026-11-24T01:00:00.000Z' },
    ]);
  });
});

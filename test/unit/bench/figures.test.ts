import { describe, expect, it } from 'vitest';
import { count, holds, median, missed, ratio, table, toJson, type Figures } from '../../bench/figures.ts';

describe('the median', () => {
  it.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('of nothing is an error', () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('goals', () => {
  it.each([
    [0.4, 'at most', 0.4, true],
    [0.401, 'at most', 0.4, false],
    [3, 'at least', 3, true],
    [2.999, 'at least', 3, false],
    [1, 'more than', 0, true],
    [0, 'more than', 0, false],
  ] as const)('%d is %s %d: %s', (value, is, bound, expected) => {
    expect(holds(value, { is, bound })).toBe(expected);
  });

  it('hold for the figure that is shown', () => {
    expect(ratio(0.40004, '×', 'x', { goal: { is: 'at most', bound: 0.4 } })).toMatchObject({
      value: 0.4,
      met: true,
    });
  });

  it('are missed where nothing could be measured', () => {
    expect(count(Number.NaN, 'calls', { goal: { is: 'at most', bound: 1 } }).met).toBe(false);
  });
});

const figures: Figures = {
  load: ratio(0.25, '×', 'of the peer', { goal: { is: 'at most', bound: 0.4 } }),
  'a longer name': ratio(2.5, '× faster than', 'the SDK', { goal: { is: 'at least', bound: 3 } }),
  calls: count(12, 'calls', { detail: ['a: 5', 'b: 7'] }),
};

describe('the table', () => {
  it('aligns figures and says which goals hold', () => {
    expect(table(figures).split('\n')).toEqual([
      'load           0.25  × of the peer          met (≤ 0.4)',
      'a longer name   2.5  × faster than the SDK  MISSED (≥ 3)',
      'calls            12  calls',
    ]);
  });

  it('of nothing is empty', () => {
    expect(table({})).toBe('');
  });
});

describe('the result', () => {
  it('is JSON by benchmark, without lines for people', () => {
    expect(JSON.parse(toJson(figures))).toEqual({
      load: {
        value: 0.25,
        unit: '×',
        peer: 'of the peer',
        ratio: 0.25,
        goal: { is: 'at most', bound: 0.4 },
        met: true,
      },
      'a longer name': {
        value: 2.5,
        unit: '× faster than',
        peer: 'the SDK',
        ratio: 2.5,
        goal: { is: 'at least', bound: 3 },
        met: false,
      },
      calls: { value: 12, unit: 'calls' },
    });
  });

  it('names each goal that was missed, with the figure', () => {
    expect(missed(figures)).toEqual(['a longer name: 2.5 × faster than, the goal is ≥ 3']);
  });
});

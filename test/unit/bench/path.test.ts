import { describe, expect, it } from 'vitest';
import { criticalPath, type Span } from '../../bench/path.ts';

const span = (name: string, from: number, to: number, more: Partial<Span> = {}): Span => ({
  name,
  from,
  to,
  mandatory: true,
  ...more,
});
const names = (spans: readonly Span[]): string[] => spans.map(({ name }) => name);

describe('the critical path', () => {
  it('is the chain that the end waited for', () => {
    const spans = [span('a', 0, 100), span('b', 101, 200), span('c', 202, 300)];
    expect(names(criticalPath(spans, 305, 10))).toEqual(['a', 'b', 'c']);
  });

  it('leaves out what ran beside it, and what ended after it', () => {
    const aside = { mandatory: false };
    const spans = [
      span('a', 0, 100),
      span('beside', 101, 150, aside),
      span('b', 101, 200),
      span('later', 150, 400, aside),
    ];
    expect(names(criticalPath(spans, 205, 10))).toEqual(['a', 'b']);
  });

  it('holds a call that need not be, where the next one began after it', () => {
    const spans = [span('a', 0, 100), span('extra', 101, 200, { mandatory: false }), span('b', 201, 300)];
    expect(names(criticalPath(spans, 300, 10))).toEqual(['a', 'extra', 'b']);
  });

  it('prefers, of what ended at once, the same connection and then what is mandatory', () => {
    const spans = [
      span('read', 0, 100),
      span('intent', 1, 101, { mandatory: false }),
      span('other 1', 102, 202, { chain: 'other', mandatory: false }),
      span('own 1', 102, 201, { chain: 'own' }),
      span('own 2', 203, 300, { chain: 'own' }),
    ];
    expect(names(criticalPath(spans, 301, 10))).toEqual(['read', 'own 1', 'own 2']);
  });
});

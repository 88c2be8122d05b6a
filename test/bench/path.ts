/** Something that took time between the start and the end: a call to AWS, a round trip to a database. */
export interface Span {
  readonly name: string;
  /** Milliseconds from the start. */
  readonly from: number;
  readonly to: number;
  /** Whether the end can't be reached without it. */
  readonly mandatory: boolean;
  /** Spans of one chain follow each other by themselves, as the round trips of one connection do. */
  readonly chain?: string;
}

/**
 * The chain of spans that the end had to wait for, in order: backwards from the end, each time the span that ended last
 * before the one after it began. Where several ended within `tolerance` of each other, time can't tell which of them
 * was waited for: the one of the same chain is taken, else a mandatory one.
 */
export function criticalPath(spans: readonly Span[], end: number, tolerance: number): Span[] {
  const path: Span[] = [];
  let at = end;
  let chain: string | undefined;
  for (;;) {
    const before = spans.filter(
      (span) => !path.includes(span) && span.to <= at + tolerance && span.from < at,
    );
    const latest = Math.max(...before.map((span) => span.to));
    const rank = (span: Span): number =>
      chain !== undefined && span.chain === chain ? 2 : span.mandatory ? 1 : 0;
    const next = before
      .filter((span) => latest - span.to <= tolerance)
      .sort((a, b) => rank(b) - rank(a) || b.to - a.to)[0];
    if (next === undefined) return path.reverse();
    path.push(next);
    at = next.from;
    chain = next.chain;
  }
}

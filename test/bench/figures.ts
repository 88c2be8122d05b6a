/** One measured number: a ratio or a count, never milliseconds of this machine. */
export interface Figure {
  readonly value: number;
  readonly unit: string;
  /** What it was measured against, in the same run. */
  readonly peer?: string;
  /** `value` over the peer's, or the peer's over it: the unit says which. Present where there is a peer. */
  readonly ratio?: number;
  /** What must hold; absent for figures that only inform. */
  readonly goal?: Goal;
  /** Whether the goal holds; absent without one. */
  readonly met?: boolean;
  /** Lines below the table: what the figure consists of. */
  readonly detail?: readonly string[];
}

export interface Goal {
  readonly is: 'at most' | 'at least' | 'more than';
  readonly bound: number;
}

/** Figures by name, in the order in which they were measured. */
export type Figures = Readonly<Record<string, Figure>>;

/** A figure that is a count or a share of its own. */
export function count(
  value: number,
  unit: string,
  more: { goal?: Goal; detail?: readonly string[] } = {},
): Figure {
  return judged({ value: rounded(value), unit, ...more });
}

/** A figure that is a ratio to a peer. */
export function ratio(
  value: number,
  unit: string,
  peer: string,
  more: { goal?: Goal; detail?: readonly string[] } = {},
): Figure {
  return judged({ value: rounded(value), unit, peer, ratio: rounded(value), ...more });
}

function judged(figure: Figure): Figure {
  return figure.goal === undefined ? figure : { ...figure, met: holds(figure.value, figure.goal) };
}

export function holds(value: number, { is, bound }: Goal): boolean {
  if (is === 'at most') return value <= bound;
  return is === 'at least' ? value >= bound : value > bound;
}

/** The middle of `values`; of an even number the mean of the two in the middle. @throws RangeError where there is none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError('no values');
  return (lower + upper) / 2;
}

/** Goals that were missed, a sentence each. */
export function missed(figures: Figures): string[] {
  return Object.entries(figures).flatMap(([name, { value, unit, goal, met }]) =>
    goal === undefined || met === true ? [] : [`${name}: ${value} ${unit}, the goal is ${goalText(goal)}`],
  );
}

/** The figures as a table for people. */
export function table(figures: Figures): string {
  const rows = Object.entries(figures).map(([name, figure]) => [
    name,
    String(figure.value),
    figure.peer === undefined ? figure.unit : `${figure.unit} ${figure.peer}`,
    figure.goal === undefined ? '' : `${figure.met === true ? 'met' : 'MISSED'} (${goalText(figure.goal)})`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(([name = '', value = '', unit = '', goal = '']) =>
      `${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${unit.padEnd(widths[2] ?? 0)}  ${goal}`.trimEnd(),
    )
    .join('\n');
}

/** What `--json` writes: the figures without the lines for people. */
export function toJson(figures: Figures): string {
  const plain = Object.fromEntries(
    Object.entries(figures).map(([name, { detail: _lines, ...figure }]) => [name, figure]),
  );
  return `${JSON.stringify(plain, null, 2)}\n`;
}

function goalText({ is, bound }: Goal): string {
  return `${{ 'at most': '≤', 'at least': '≥', 'more than': '>' }[is]} ${bound}`;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

const UNITS = { d: 86_400, h: 3600, m: 60, s: 1 } as const;

/** Seconds of a duration as a declaration writes it, its form checked: `15m` is 900. */
export function durationSeconds(text: string): number {
  const [, unit] = Object.entries(UNITS).find(([letter]) => text.endsWith(letter)) ?? [];
  return Number(text.slice(0, -1)) * (unit ?? Number.NaN);
}

/** Seconds as a declaration writes them, in the largest unit that divides them: 1800 is `30m`, 90 is `90s`. */
export function durationText(seconds: number): string {
  for (const [letter, size] of Object.entries(UNITS))
    if (seconds > 0 && seconds % size === 0) return `${seconds / size}${letter}`;
  return `${seconds}s`;
}

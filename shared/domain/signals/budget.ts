import { toInstant } from '../clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3600_000;

/** What is counted of a budget within one clock hour. */
export interface HourCount {
  /** Everything of it, also what no minute has. */
  readonly taken: number;
  /** By the minute of the hour in which it was taken. */
  readonly minutes: ReadonlyMap<number, number>;
}

/** Where something that is taken at a time is counted. */
export interface CountedAt {
  readonly hour: string;
  readonly before: string;
  readonly minute: number;
}

/** The clock hour of a time, the one before it, and its minute. */
export function countedAt(now: number): CountedAt {
  return {
    hour: hourOf(now),
    before: hourOf(now - HOUR_MS),
    minute: Math.floor((now % HOUR_MS) / MINUTE_MS),
  };
}

/** When the hour after that of `now` begins. */
export function nextHour(now: number): number {
  return now - (now % HOUR_MS) + HOUR_MS;
}

/**
 * How much of the clock hour before still counts in that minute of the next one: what was taken within 60 minutes, by whole
 * minutes. With all of the present clock hour, no 60 minutes have more than the budget, wherever they begin. What has no minute,
 * from a version that counted by clock hours, counts to the end.
 */
export function stillCounts({ taken, minutes }: HourCount, minute: number): number {
  const past = [...minutes].filter(([at]) => at < minute).reduce((sum, [, count]) => sum + count, 0);
  return taken - past;
}

function hourOf(now: number): string {
  return toInstant(now).slice(0, 13);
}

/** What one key was used for in one minute. */
export interface FakeUse {
  readonly keyId: string;
  readonly model: string;
  /** Start of the minute, in milliseconds since 1970. */
  readonly minute: number;
  readonly requests: number;
  /** Which of an upstream's counts it is in, e.g. `embeddings`. */
  readonly counted: string;
}

const MINUTE_MS = 60_000;

/** Requests that an upstream has counted, by key, model and minute. It tells of them as late as it is told to. */
export class UsageLog {
  readonly #counts: Map<string, FakeUse> = new Map();
  readonly #at: Map<string, number[]> = new Map();
  /** How much later it tells of a request. */
  lagMs = 0;

  /** Counts requests with a key. */
  count(keyId: string, model: string, requests = 1, at = Date.now(), counted = 'completions'): void {
    const minute = Math.floor(at / MINUTE_MS) * MINUTE_MS;
    const name = JSON.stringify([keyId, model, minute, counted]);
    this.#counts.set(name, { keyId, model, minute, requests: 0, counted });
    const times = this.#at.get(name) ?? [];
    this.#at.set(name, [...times, ...Array.from({ length: requests }, () => at)]);
  }

  /** What it tells now of these keys (of all where none are named) in a time, by the minute and each of its kinds. */
  told(keyIds: readonly string[], from: number, to: number): FakeUse[] {
    const before = Date.now() - this.lagMs;
    return [...this.#counts].flatMap(([name, use]) => {
      const requests = (this.#at.get(name) ?? []).filter((at) => at <= before).length;
      const isAsked = keyIds.length === 0 || keyIds.includes(use.keyId);
      return isAsked && use.minute >= from && use.minute < to && requests > 0 ? [{ ...use, requests }] : [];
    });
  }
}

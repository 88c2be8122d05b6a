import type { Time } from '../../client/src/time.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Clocks and timers that a test moves: `pass` lets time pass, `jump` sets the wall clock alone. */
export class FakeTime implements Time {
  #wall = Date.parse('2026-11-25T12:00:00Z');
  #mono = 0;
  readonly #timers = new Set<Timer>();
  /** What the next draws give. */
  chance = 0;
  /** Waits until what a timer has begun has come to rest. */
  readonly #rest: () => Promise<void>;

  constructor(rest: () => Promise<void> = atRest) {
    this.#rest = rest;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#mono;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#mono + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets `seconds` pass: every timer rings at its time, and what it begins comes to rest before the next one rings. */
  async pass(seconds: number): Promise<void> {
    const end = this.#mono + seconds * 1000;
    await this.#rest();
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#advance(Math.max(this.#mono, next.at));
      next.run();
      await this.#rest();
    }
    this.#advance(end);
    await this.#rest();
  }

  /** The wall clock alone jumps, forwards or back. */
  jump(seconds: number): void {
    this.#wall += seconds * 1000;
  }

  /** Time passes and no timer rings, as in a process that is busy. */
  stall(seconds: number): void {
    this.#advance(this.#mono + seconds * 1000);
  }

  #advance(to: number): void {
    this.#wall += to - this.#mono;
    this.#mono = to;
  }
}

/** Waits until nothing that is only a chain of promises goes on. */
export async function atRest(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

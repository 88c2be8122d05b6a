import type { Time } from '../time.ts';

/** The server's clock, as its answers tell it: a wall clock here that is wrong or jumps changes nothing. */
export class ServerClock {
  readonly #time: Time;
  #heard: { readonly at: number; readonly monotonic: number } | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  /** The `Date` of an answer. */
  hear(date: string | null): void {
    const at = Date.parse(date ?? '');
    if (!Number.isNaN(at)) this.#heard = { at, monotonic: this.#time.monotonic() };
  }

  /** Milliseconds since 1970. */
  now(): number {
    if (this.#heard === undefined) return this.#time.now();
    return Math.floor(this.#heard.at + this.#time.monotonic() - this.#heard.monotonic);
  }
}

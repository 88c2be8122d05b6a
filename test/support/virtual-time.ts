/** A timer of the virtual time. */
interface Timer {
  readonly at: number;
  readonly ring: () => void;
}

/**
 * Time that passes by itself while something works and jumps while everything waits: windows of hours cost nothing.
 * What waits must say so (`park`), what works is counted (`work`).
 */
export class VirtualTime {
  #ahead = 0;
  #busy = 0;
  #timers: Timer[] = [];

  readonly now = (): number => Date.now() + this.#ahead;

  /** Whether nobody works at this moment. */
  get still(): boolean {
    return this.#busy === 0;
  }

  /** The next instant at which somebody wakes up by time. */
  get next(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map((timer) => timer.at));
  }

  /** Counts `job` as work until it ends; a failure is the caller's. */
  async work<T>(job: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await job();
    } finally {
      this.#busy--;
    }
  }

  /** Waits, from within work, for `signal` or for `ms` of virtual time; `late` where time was first. */
  async park<T>(ms: number, signal: Promise<T>): Promise<T | 'late'> {
    if (ms <= 0) return 'late';
    let timer: Timer | undefined;
    const rung = new Promise<'late'>((resolve) => {
      timer = { at: this.now() + ms, ring: () => resolve('late') };
      this.#timers.push(timer);
    });
    this.#busy--;
    // Whoever wakes is busy from the moment of the signal on, before anybody can look whether all is still.
    const woken = Promise.race([signal, rung]).finally(() => {
      this.#busy++;
      this.#timers = this.#timers.filter((other) => other !== timer);
    });
    return woken;
  }

  /** Waits, from within work, for other work that is counted by itself. */
  async aside<T>(others: Promise<T>): Promise<T> {
    this.#busy--;
    try {
      return await others;
    } finally {
      this.#busy++;
    }
  }

  /** Jumps to `instant` (never back) and rings what is due. */
  jumpTo(instant: number): void {
    this.#ahead += Math.max(0, instant - this.now());
    for (const timer of this.#timers.filter((each) => each.at <= this.now())) timer.ring();
  }
}

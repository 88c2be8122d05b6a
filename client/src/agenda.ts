import { LONGEST_MS, type Time } from './time.ts';

/** Something with work at a known instant. */
export interface Member {
  /** On the monotonic clock; Infinity where nothing is due. */
  readonly dueAt: number;
  wake(now: number): void;
}

/** One timer for all sources that were made together: a timer each would cost more memory than the credential. */
export class Agenda {
  readonly #time: Time;
  readonly #members: Set<Member> = new Set();
  #armedFor = Infinity;
  #cancel: (() => void) | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  add(member: Member): void {
    this.#members.add(member);
  }

  remove(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.#disarm();
  }

  /** Rings at `at` at the latest. */
  arm(at: number): void {
    if (at >= this.#armedFor) return;
    this.#disarm();
    this.#armedFor = at;
    const ms = Math.min(LONGEST_MS, Math.max(0, at - this.#time.monotonic()));
    this.#cancel = this.#time.after(ms, () => this.#ring());
  }

  #ring(): void {
    this.#disarm();
    const now = this.#time.monotonic();
    let next = Infinity;
    for (const member of this.#members) {
      if (member.dueAt <= now) member.wake(now);
      next = Math.min(next, member.dueAt);
    }
    this.arm(next);
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = Infinity;
  }
}

import { LONGEST_MS, type Time } from './time.ts';

/** Something with work at a known instant. */
export interface Member {
  /** On the monotonic clock; Infinity where nothing is due. */
  readonly dueAt: number;
  wake(now: number): void;
}

/** One timer for all sources: a timer each would cost more memory than the credential. */
export class Agenda {
  readonly #time: Time;
  /** An array: a set would take three times the memory. */
  readonly #members: Member[] = [];
  #armedFor = Infinity;
  #cancel: (() => void) | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  add(member: Member): void {
    this.#members.push(member);
  }

  remove(member: Member): void {
    const at = this.#members.indexOf(member);
    if (at >= 0) this.#members.splice(at, 1);
    if (this.#members.length === 0) this.#disarm();
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
    // A copy: a listener may close a source.
    for (const member of this.#members.slice()) {
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

const AGENDAS: WeakMap<Time, Agenda> = new WeakMap();

/** The agenda of everybody who lives by these clocks. */
export function agendaOf(time: Time): Agenda {
  const found = AGENDAS.get(time) ?? new Agenda(time);
  AGENDAS.set(time, found);
  return found;
}

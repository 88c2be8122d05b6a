import { inspect } from 'node:util';

const MARK = '[redacted]';

/**
 * Holds secret material. Printing, serialising, interpolating or inspecting it yields a mark; only `reveal()`
 * gives the value, which makes every place that touches material easy to find (audit-and-security: "secrets in
 * logs").
 */
export class Redacted<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The material itself. Call it at the last moment and keep the result out of any longer-lived object. */
  reveal(): T {
    return this.#value;
  }

  /** A new wrapper over a value derived from the material. */
  map<U>(derive: (value: T) => U): Redacted<U> {
    return new Redacted(derive(this.#value));
  }

  toString(): string {
    return MARK;
  }

  toJSON(): string {
    return MARK;
  }

  [Symbol.toPrimitive](): string {
    return MARK;
  }

  [inspect.custom](): string {
    return MARK;
  }
}

import type { CredentialSource } from '../credential-source.ts';
import { isCredentialError } from '../errors.ts';
import type { Fact } from './event.ts';

/** A source that is told of events. Orders of an emergency count by their own time, in whatever order they come. */
export class Hinted {
  readonly #source: CredentialSource;
  readonly #unsubscribe: () => void;
  /** The newest value that was met: no halt before it is about it. */
  #madeAt = 0;
  #resumedAt = -Infinity;
  #haltedAt: number | undefined;

  constructor(source: CredentialSource) {
    this.#source = source;
    this.#meet();
    this.#unsubscribe = source.on('swap', ({ next }) => {
      this.#madeAt = Math.max(this.#madeAt, next.createdAt);
    });
  }

  /** @throws CredentialError where the vault can't be read */
  async heed({ kind, at, reason }: Omit<Fact, 'names'>): Promise<void> {
    if (kind === 'halt') return this.#halt(at, reason);
    if (kind === 'changed' || kind === 'revoked') return this.#read();
    this.#resumedAt = Math.max(this.#resumedAt, at);
    if (this.#haltedAt === undefined) return this.#read();
    if (at >= this.#haltedAt) await this.#resume();
  }

  /** Reads the vault. A value that was made after the halt ends it: the order to go on may have been lost. */
  async poll(): Promise<void> {
    await this.#read();
    if (this.#haltedAt !== undefined && this.#madeAt > this.#haltedAt) await this.#resume();
  }

  stop(): void {
    this.#unsubscribe();
  }

  #halt(at: number, reason: string): void {
    // Over already, by word or by a newer value.
    if (at <= this.#resumedAt || at < this.#madeAt || this.#haltedAt !== undefined) return;
    this.#haltedAt = at;
    this.#source.halt(reason);
    // Whether there is a newer value, only the vault knows; nothing waits for its answer.
    void this.poll().catch(() => undefined);
  }

  async #resume(): Promise<void> {
    this.#haltedAt = undefined;
    await this.#source.resume();
    this.#meet();
  }

  async #read(): Promise<void> {
    try {
      await this.#source.refreshNow();
    } catch (error) {
      // Read all the same.
      if (!isCredentialError(error, 'ERR_HALTED')) throw error;
    }
    this.#meet();
  }

  #meet(): void {
    try {
      this.#madeAt = Math.max(this.#madeAt, this.#source.current().createdAt);
    } catch {
      // Nothing is served just now.
    }
  }
}

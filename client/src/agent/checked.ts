import type { Verifying } from '../verify/published.ts';
import type { Followed, Owed } from './followed.ts';
import type { Notice } from './notice.ts';

/**
 * Does for a credential that this process only checks what its notices say: proves that it knows the new one, and forgets
 * what it has read where something was revoked. It has no version of any secret.
 */
export class Checked implements Followed {
  readonly name: string;
  readonly holds: readonly string[] = [];
  readonly current: undefined;
  readonly #verifier: Verifying;
  #notice: Notice | undefined;

  constructor(name: string, verifier: Verifying) {
    this.name = name;
    this.#verifier = verifier;
  }

  get isKnown(): boolean {
    return this.#notice !== undefined;
  }

  get owes(): Owed | undefined {
    const { acknowledge, rotation, versionId, fingerprint } = this.#notice ?? {};
    if (
      acknowledge !== true ||
      rotation === undefined ||
      versionId === undefined ||
      fingerprint === undefined
    )
      return undefined;
    const prove: Owed['prove'] = async () => ({ seen: await this.#verifier.seen() });
    return { rotation, fingerprint, versionId, prove };
  }

  follow(notice: Notice): void {
    const before = this.#notice;
    this.#notice = notice;
    const isHalt = notice.state === 'halted' && before?.state !== 'halted';
    // A rotation moves in a window. What moved without one was replaced in an emergency that was over before a look.
    const isReplaced =
      notice.state === 'steady' && before !== undefined && before.versionId !== notice.versionId;
    if (isHalt || isReplaced) this.#verifier.expire();
  }

  nextLookIn(_now: number, oftenMs: number): number {
    return this.owes === undefined ? Infinity : oftenMs;
  }

  acknowledged(): void {
    if (this.#notice !== undefined) this.#notice = { ...this.#notice, acknowledge: false };
  }

  /** What verifies reads by itself. */
  async keep(): Promise<void> {
    await Promise.resolve();
  }

  stop(): void {
    this.#notice = undefined;
  }
}

import type { Credential } from './credential.ts';
import { Listeners } from './listeners.ts';
import type { Recovery } from './recovery.ts';
import { UnderWay } from './under-way.ts';

/** Failed refreshes in a row. */
export interface Trouble {
  readonly failures: number;
  readonly retryMs: number;
  /** When the last of them began, by the wall clock. */
  readonly triedAtWall: number;
}

/** What a source has only out of the ordinary. It is made when it is needed: most credentials never take its memory. */
export class Extras {
  shut: 'stale' | 'closed' | undefined;
  /** The reason of a halt that is not over. */
  haltedFor: string | undefined;
  /** When a hold ends, on the monotonic clock. */
  heldUntil: number | undefined;
  /** What a hold keeps back. */
  waiting: Credential | undefined;
  trouble: Trouble | undefined;
  recovery: Recovery | undefined;
  #listeners: Listeners | undefined;
  #underWay: UnderWay | undefined;
  /** Versions that were given up: true where somebody has said so, false where labels look like it. */
  #dead: Map<string, boolean> | undefined;

  get listeners(): Listeners {
    return (this.#listeners ??= new Listeners());
  }

  /** Work in `use`, where somebody hears of uses. */
  get underWay(): UnderWay {
    return (this.#underWay ??= new UnderWay());
  }

  isTombstoned(versionId: string): boolean {
    return this.#dead?.get(versionId) === true;
  }

  isGivenUp(versionId: string): boolean {
    return this.#dead?.has(versionId) === true;
  }

  tombstone(versionId: string): void {
    this.#dead = (this.#dead ?? new Map<string, boolean>()).set(versionId, true);
    if (this.waiting?.versionId === versionId) this.waiting = undefined;
  }

  /** The label has left `versionId` for an older version. */
  gaveUp(versionId: string): void {
    if (this.isGivenUp(versionId)) return;
    this.#dead = (this.#dead ?? new Map<string, boolean>()).set(versionId, false);
  }

  /** The version is served: nothing waits, and what only looked as if it was given up was not. */
  serves(versionId: string): void {
    this.waiting = undefined;
    this.recovery?.reset();
    if (this.#dead?.get(versionId) === false) this.#dead.delete(versionId);
  }
}

import type { Credential } from './credential.ts';

/** What a session has been told from outside; most sources never are. */
export class Orders {
  /** The reason of a halt that is not over. */
  haltedFor: string | undefined;
  /** When a hold ends, on the monotonic clock. */
  heldUntil: number | undefined;
  /** What a hold keeps back. */
  waiting: Credential | undefined;
  /** Versions that were given up: true where somebody has said so, false where labels look like it. */
  readonly #dead: Map<string, boolean> = new Map();

  isTombstoned(versionId: string): boolean {
    return this.#dead.get(versionId) === true;
  }

  isGivenUp(versionId: string): boolean {
    return this.#dead.has(versionId);
  }

  tombstone(versionId: string): void {
    this.#dead.set(versionId, true);
    if (this.waiting?.versionId === versionId) this.waiting = undefined;
  }

  /** The label has left `versionId` for an older version. */
  gaveUp(versionId: string): void {
    if (!this.#dead.has(versionId)) this.#dead.set(versionId, false);
  }

  /** The version is current: what only looked as if it was given up was not. */
  serves(versionId: string): void {
    this.waiting = undefined;
    if (this.#dead.get(versionId) === false) this.#dead.delete(versionId);
  }
}

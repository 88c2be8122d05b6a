/** What runs with which version: a swap isn't done while something still runs with the former one. */
export class UnderWay {
  readonly #byVersion: Map<string, Set<Promise<unknown>>> = new Map();

  /** Runs `work`, which counts until it has ended, well or not. */
  async during<T>(versionId: string, work: () => Promise<T>): Promise<T> {
    const running = work();
    const all = this.#byVersion.get(versionId) ?? new Set();
    this.#byVersion.set(versionId, all.add(running));
    try {
      return await running;
    } finally {
      all.delete(running);
      if (all.size === 0 && this.#byVersion.get(versionId) === all) this.#byVersion.delete(versionId);
    }
  }

  /** Settles when what runs with the version now has ended. Never rejects. */
  async ended(versionId: string): Promise<void> {
    await Promise.allSettled(this.#byVersion.get(versionId) ?? new Set<Promise<unknown>>());
  }
}

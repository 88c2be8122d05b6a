import type { FailureTest } from './authentication.ts';
import type { Credential } from './credential.ts';
import { fallbacks, type Known } from './labels.ts';
import { backoffMs, type Time } from './time.ts';
import type { Stage } from './vault.ts';

/** What a source has at a moment. */
export interface Peek {
  /** The version that is served, or was until the source was shut. */
  readonly served: Credential | undefined;
  /** The one that is held back. */
  readonly waiting: Credential | undefined;
  readonly isShut: boolean;
}

/** What a recovery needs of its source. */
export interface Recovering extends Known {
  peek(): Peek;
  /** Reads AWSCURRENT by a look that begins after the call. Never rejects. */
  refreshed(): Promise<unknown>;
  /** Another version, past the cache. Undefined where there is none, or the vault doesn't answer. */
  read(stage: Stage): Promise<Credential | undefined>;
  /** A refresh is due in `ms` at the latest. */
  refreshWithin(ms: number): void;
  /** The version that was held back is the one that works. */
  release(): void;
}

/** How long a version that isn't current is tried first, once it was found to be all that works. */
const DETOUR_MS = 5_000;
/** How long what one look has found serves all who are refused. */
const FOUND_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * What `use` tries after a refusal. However many callers are refused at the same time, the vault is looked at once; and
 * where nothing works, looks are spaced further and further, so that a broken upstream causes no storm.
 */
export class Recovery {
  readonly #source: Recovering;
  readonly #time: Time;
  /** The look under way. Never rejects. */
  #look: Promise<void> | undefined;
  #found: readonly Credential[] = [];
  #vain = 0;
  #nextLookAt = -Infinity;
  #foundUntil = -Infinity;
  #detour: { readonly credential: Credential; readonly until: number } | undefined;

  constructor(source: Recovering, time: Time) {
    this.#source = source;
    this.#time = time;
  }

  /** What is tried before the version that is served; undefined mostly. */
  first(): Credential | undefined {
    if (this.#detour === undefined) return undefined;
    const { credential, until } = this.#detour;
    if (this.#time.monotonic() < until && !this.#source.isTombstoned(credential.versionId)) return credential;
    this.#detour = undefined;
    return undefined;
  }

  /**
   * Runs `work` again, with version after version, after a first refusal.
   * @throws the last refusal where none is taken
   */
  async repeat<T>(
    work: (credential: Credential) => T | Promise<T>,
    isFailure: FailureTest,
    first: { readonly credential: Credential; readonly error: unknown },
  ): Promise<T> {
    const refused = [first.credential];
    let { error } = first;
    let again: Credential[] | undefined;
    for (;;) {
      let credential = again === undefined ? await this.#next(refused) : undefined;
      // Where the upstream has changed over between two tries, what it refused first is what it takes now.
      again ??= credential === undefined ? this.#alive(refused.slice(0, -1)) : undefined;
      credential ??= again?.shift();
      if (credential === undefined) this.#exhausted();
      if (credential === undefined || this.#source.peek().isShut) throw error;
      try {
        const result = await work(credential);
        this.#worked(credential);
        return result;
      } catch (thrown) {
        if (!isFailure(thrown)) throw thrown;
        error = thrown;
        refused.push(credential);
      }
    }
  }

  /** What to try when all of `refused` were refused; undefined where nothing is left. */
  async #next(refused: readonly Credential[]): Promise<Credential | undefined> {
    const known = this.#untried(refused, this.#time.monotonic() < this.#foundUntil);
    if (known !== undefined) return known;
    if (this.#look === undefined && this.#time.monotonic() < this.#nextLookAt) return undefined;
    await (this.#look ??= this.#lookOnce(refused));
    return this.#untried(refused, true);
  }

  /** All that there is was tried in vain: the next look waits, longer each time. */
  #exhausted(): void {
    const now = this.#time.monotonic();
    if (now < this.#nextLookAt) return;
    this.#vain++;
    this.#nextLookAt = now + backoffMs(this.#vain, LONGEST_PAUSE_MS, this.#time.random());
  }

  /** The upstream has taken `credential` after it had refused others. */
  #worked(credential: Credential): void {
    this.reset();
    const { served, waiting } = this.#source.peek();
    if (credential.versionId === served?.versionId) return;
    if (credential.versionId === waiting?.versionId) return this.#source.release();
    this.#detour = { credential, until: this.#time.monotonic() + DETOUR_MS };
    this.#source.refreshWithin(DETOUR_MS);
  }

  /** Another version is served: what was found of the one before is void. */
  reset(): void {
    this.#vain = 0;
    this.#nextLookAt = -Infinity;
    this.#found = [];
    this.#detour = undefined;
  }

  async #lookOnce(refused: readonly Credential[]): Promise<void> {
    // Pending first: labels move from pending to current, so a version on its way is met once at least.
    const pending = await this.#source.read('AWSPENDING');
    const [previous] = await Promise.all([this.#source.read('AWSPREVIOUS'), this.#source.refreshed()]);
    const { served } = this.#source.peek();
    this.#found = served === undefined ? [] : fallbacks(served, { pending, previous }, this.#source);
    this.#look = undefined;
    if (this.#untried(refused, true) !== undefined) {
      this.#foundUntil = this.#time.monotonic() + FOUND_MS;
    } else this.#found = [];
  }

  #alive(candidates: readonly Credential[]): Credential[] {
    return candidates.filter(({ versionId }) => !this.#source.isTombstoned(versionId));
  }

  #untried(refused: readonly Credential[], withFound: boolean): Credential | undefined {
    const { served, waiting } = this.#source.peek();
    return [served, waiting, ...(withFound ? this.#found : [])].find(
      (candidate) =>
        candidate !== undefined &&
        !refused.some(({ versionId }) => versionId === candidate.versionId) &&
        !this.#source.isTombstoned(candidate.versionId),
    );
  }
}

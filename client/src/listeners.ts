import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';
import { within, type Time } from './time.ts';

/** A version has taken the place of another. */
export interface Swap {
  readonly next: Credential;
  readonly previous: Credential;
}

/** One use of a version. */
export interface Use {
  readonly versionId: string;
  readonly refused: boolean;
}

/** A refresh has failed; what is there goes on being served. */
export interface RefreshFailure {
  readonly error: CredentialError;
  /** How many in a row. */
  readonly failures: number;
  /** How long until the next try. */
  readonly retryInSeconds: number;
}

/** What a source tells. */
export interface SourceEvents {
  /** The new version is served from now on. What listeners return is awaited before the swap counts as done. */
  readonly swap: Swap;
  /** Every listener of `swap` has ended well: nothing of this process uses the previous version any more. */
  readonly swapped: Swap;
  readonly refreshFailed: RefreshFailure;
  /** Nothing is served any more: the limit is reached. */
  readonly stale: CredentialError;
  readonly halted: { readonly reason: string };
  /** A halt is over; its reason. */
  readonly resumed: { readonly reason: string };
  /** The upstream has taken or refused a version, as `use` and the adapters have seen it. */
  readonly used: Use;
  /** A listener has thrown, or has taken too long. */
  readonly listenerFailed: { readonly event: keyof SourceEvents; readonly error: unknown };
}

/** Hears of one kind of event. It may return a promise; only those of `swap` are waited for. */
export type Listener<Name extends keyof SourceEvents> = (event: SourceEvents[Name]) => unknown;

/** Listeners by the event that they hear. */
export type ListenerMap = { readonly [Name in keyof SourceEvents]?: Listener<Name> };

type AnyListener = (event: unknown) => unknown;

/** The listeners of a source. One that fails disturbs neither the source nor the others. */
export class Listeners {
  readonly #byName: Map<keyof SourceEvents, Set<AnyListener>> = new Map();

  add<Name extends keyof SourceEvents>(name: Name, listener: Listener<Name>): () => void {
    // A function of its own, so that the same listener may be added twice.
    const entry: AnyListener = (event) => listener(event as SourceEvents[Name]);
    const set = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, set.add(entry));
    return () => set.delete(entry);
  }

  hears(name: keyof SourceEvents): boolean {
    return (this.#byName.get(name)?.size ?? 0) > 0;
  }

  /** Tells everybody at once; true when all of them have ended well. Never rejects. */
  async tell<Name extends keyof SourceEvents>(name: Name, event: SourceEvents[Name]): Promise<boolean> {
    const told = [...(this.#byName.get(name) ?? [])].map(async (listener) => listener(event));
    const failed = (await Promise.allSettled(told)).filter((result) => result.status === 'rejected');
    for (const { reason } of failed) this.#report(name, reason);
    return failed.length === 0;
  }

  /**
   * Tells of a swap, and that it is done when its listeners are and `work` with the previous version has ended. What takes
   * longer than it may is reported, and waited for all the same: only that knows when the previous version is out of use.
   * Never rejects.
   */
  async tellSwap(swap: Swap, time: Time, ms: number, work?: Promise<void>): Promise<void> {
    const late = (): Error => new CredentialError('ERR_TIMEOUT', `a swap isn't done after ${ms / 1000} s`);
    const limit = { ms, controller: new AbortController(), late };
    const told = Promise.all([this.tell('swap', swap), work]).then(([ended]) => ended);
    await within(time, limit, async () => told).catch((error: unknown) => this.#report('swap', error));
    if (await told) await this.tell('swapped', swap);
  }

  #report(event: keyof SourceEvents, error: unknown): void {
    // Whoever fails while it hears of failures is not told of its own.
    if (event !== 'listenerFailed' && this.hears('listenerFailed'))
      void this.tell('listenerFailed', { event, error });
    else process.emitWarning(`a listener of "${event}" has failed`, { type: 'RekeyClientWarning' });
  }
}

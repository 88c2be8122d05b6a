import type { Member } from './agenda.ts';
import type { FailureTest } from './authentication.ts';
import type { CredentialSource } from './credential-source.ts';
import { Credential } from './credential.ts';
import { asCredentialError, CredentialError, isCredentialError } from './errors.ts';
import { movedBack } from './labels.ts';
import { Listeners, type Listener, type SourceEvents, type Swap } from './listeners.ts';
import { millisecondsOf, type Settings } from './options.ts';
import { Recovery, type Recovering } from './recovery.ts';
import { backoffMs, within } from './time.ts';
import type { Stage } from './vault.ts';

/** Under so much validity no new task is begun (Z4). */
const TASK_MARGIN_MS = 120_000;
const LONGEST_RETRY_MS = 60_000;
const SHORTEST_REFRESH_MS = 1_000;

/** One look at AWSCURRENT. */
interface Flight {
  readonly controller: AbortController;
  /** What it ended with. Never rejects. */
  readonly done: Promise<CredentialError | undefined>;
}

/** The one implementation of a source; `createCredentialSource` makes it and waits for the first value. */
export class RotatingSource implements CredentialSource, Member, Recovering {
  readonly secretId: string;
  readonly #settings: Settings;
  /** The version that is served, or was until the source was shut. */
  #credential: Credential | undefined;
  /** The same while it may be used: what `current` gives without looking at anything else. */
  #open: Credential | undefined;
  /** The same as a promise: what `get` gives, made once. */
  #answer: Promise<Credential> | undefined;
  /** The reason of a halt that is not over. */
  #haltedFor: string | undefined;
  #closed = false;
  #stale = false;
  #refreshAt = Infinity;
  #limitAt = Infinity;
  #readAt = 0;
  #readAtWall = 0;
  #triedAtWall = 0;
  #failures = 0;
  #flight: Flight | undefined;
  #heldUntil = Infinity;
  /** What a hold keeps back. */
  #waiting: Credential | undefined;
  /** Versions that were given up: true where somebody has said so, false where labels look like it. */
  #dead: Map<string, boolean> | undefined;
  #listeners: Listeners | undefined;
  #recovery: Recovery | undefined;
  /** Whoever waits for the first value. */
  #first: ((error?: CredentialError) => void) | undefined;

  constructor(secretId: string, settings: Settings) {
    this.secretId = secretId;
    this.#settings = settings;
    for (const [name, listener] of Object.entries(settings.on ?? {})) {
      this.on(name as keyof SourceEvents, listener as Listener<keyof SourceEvents>);
    }
  }

  /** Begins, and waits for the first value. @throws CredentialError at once where another try is pointless */
  async start(): Promise<void> {
    const { time, firstValueMs, agenda } = this.#settings;
    agenda.add(this);
    let cancel: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        // Holds the process, which has nothing else to live for while it pauses between two tries.
        cancel = time.after(firstValueMs, () => reject(this.#noFirstValue()), true);
        this.#first = (error) => (error === undefined ? resolve() : reject(error));
        this.#begin();
      });
    } finally {
      cancel?.();
      this.#first = undefined;
    }
  }

  current(): Credential {
    const credential = this.#open;
    if (credential === undefined) throw this.#refusal();
    return credential;
  }

  get(): Promise<Credential> {
    return this.#answer ?? this.#makeAnswer();
  }

  #makeAnswer(): Promise<Credential> {
    if (this.#open === undefined) return this.#revived();
    return (this.#answer = Promise.resolve(this.#open));
  }

  async #revived(): Promise<Credential> {
    if (this.#stale) await this.#flight?.done;
    return this.current();
  }

  async use<T>(
    work: (credential: Credential) => T | Promise<T>,
    isFailure: FailureTest = this.#settings.isAuthenticationFailure,
  ): Promise<T> {
    const served = this.current();
    let credential = this.#recovery?.first() ?? served;
    let refused: Set<string> | undefined;
    for (;;) {
      try {
        const result = await work(credential);
        if (refused !== undefined) this.#recovery?.worked(credential);
        return result;
      } catch (error) {
        if (!isFailure(error)) throw error;
        refused = (refused ?? new Set<string>()).add(credential.versionId);
        this.#recovery ??= new Recovery(this, this.#settings.time);
        const next = await this.#recovery.next(refused);
        if (next === undefined || this.#open === undefined) throw error;
        credential = next;
      }
    }
  }

  get acceptsNewTasks(): boolean {
    const { time, expiresAt } = this.#settings;
    if (this.#open === undefined || this.isTombstoned(this.#open.versionId)) return false;
    const dies = expiresAt?.(this.#open) ?? Infinity;
    if (dies - time.now() < TASK_MARGIN_MS) return false;
    // As long as refreshes succeed, no end is in sight.
    return this.#failures === 0 || this.#limitAt - time.monotonic() >= TASK_MARGIN_MS;
  }

  async refreshNow(): Promise<Credential> {
    const error = await this.refreshed();
    if (error !== undefined) throw error;
    return this.current();
  }

  async refreshed(): Promise<CredentialError | undefined> {
    // A look that is under way may have read before the call.
    if (this.#flight !== undefined) await this.#flight.done;
    if (this.#closed) return this.#refusal();
    return (this.#flight ?? this.#begin()).done;
  }

  async freshAtInvocation(): Promise<Credential> {
    const { time, refreshMs, fetchMs } = this.#settings;
    // Either clock may be wrong after a freeze: the wall clock may be set back, the other may have stood still.
    const age = Math.max(time.now() - this.#readAtWall, time.monotonic() - this.#readAt);
    if (age >= this.#limitAt - this.#readAt) this.#expire();
    const sinceTry = time.now() - this.#triedAtWall;
    const triedJustNow =
      this.#failures > 0 &&
      this.#open !== undefined &&
      sinceTry >= 0 &&
      sinceTry < LONGEST_RETRY_MS &&
      this.#refreshAt > time.monotonic();
    if ((age >= refreshMs || this.#stale) && !triedJustNow) {
      // What was under way before the freeze has no connection left.
      if (sinceTry > fetchMs) this.#flight?.controller.abort(this.#late());
      await this.refreshed();
    }
    return this.current();
  }

  hold(seconds: number): void {
    this.#heldUntil = this.#settings.time.monotonic() + millisecondsOf('seconds', seconds);
    this.#arm();
  }

  release(): void {
    this.#heldUntil = Infinity;
    if (this.#waiting !== undefined) this.#serve(this.#waiting);
  }

  halt(reason: string): void {
    this.#haltedFor = reason;
    this.#settle();
    void this.#listeners?.tell('halted', { reason });
  }

  async resume(): Promise<void> {
    if (this.#haltedFor === undefined) return;
    await this.refreshed();
    const reason = this.#haltedFor;
    this.#haltedFor = undefined;
    this.#settle();
    void this.#listeners?.tell('resumed', { reason });
  }

  tombstone(versionId: string): void {
    this.#dead ??= new Map();
    this.#dead.set(versionId, true);
    if (this.#waiting?.versionId === versionId) this.#waiting = undefined;
    if (this.#credential?.versionId === versionId) void this.refreshed();
  }

  isTombstoned(versionId: string): boolean {
    return this.#dead?.get(versionId) === true;
  }

  isGivenUp(versionId: string): boolean {
    return this.#dead?.has(versionId) === true;
  }

  on<Name extends keyof SourceEvents>(event: Name, listener: Listener<Name>): () => void {
    return (this.#listeners ??= new Listeners()).add(event, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#settle();
    this.#settings.agenda.remove(this);
    this.#flight?.controller.abort(this.#refusal());
    await this.#flight?.done;
  }

  get dueAt(): number {
    return Math.min(this.#refreshAt, this.#limitAt, this.#heldUntil);
  }

  wake(now: number): void {
    if (now >= this.#limitAt) this.#expire();
    if (now >= this.#heldUntil) this.release();
    if (now >= this.#refreshAt && this.#flight === undefined) this.#begin();
  }

  peek(): { readonly served: Credential | undefined; readonly waiting: Credential | undefined } {
    return { served: this.#credential, waiting: this.#waiting };
  }

  async read(stage: Stage): Promise<Credential | undefined> {
    try {
      const found = await this.#ask(stage, new AbortController());
      if (found !== undefined) this.#check(found);
      return found;
    } catch {
      // The labels beside AWSCURRENT only help; agents may not even be allowed to read them.
      return undefined;
    }
  }

  refreshWithin(ms: number): void {
    if (this.#flight !== undefined) return;
    this.#refreshAt = Math.min(this.#refreshAt, this.#settings.time.monotonic() + ms);
    this.#arm();
  }

  #begin(): Flight {
    const controller = new AbortController();
    this.#refreshAt = Infinity;
    this.#triedAtWall = this.#settings.time.now();
    return (this.#flight = { controller, done: this.#fly(controller) });
  }

  async #fly(controller: AbortController): Promise<CredentialError | undefined> {
    try {
      const found = await this.#ask('AWSCURRENT', controller);
      controller.signal.throwIfAborted();
      this.#take(found);
      this.#confirmed();
      this.#first?.();
      return undefined;
    } catch (error) {
      const failure = asCredentialError(error);
      if (!this.#closed) this.#failed(failure);
      return failure;
    } finally {
      this.#flight = undefined;
    }
  }

  async #ask(stage: Stage, controller: AbortController): Promise<Credential | undefined> {
    const { vault, time, fetchMs } = this.#settings;
    const found = await within(time, { ms: fetchMs, controller, late: () => this.#late() }, async (signal) =>
      vault.read(this.secretId, stage, signal),
    );
    return found === undefined ? undefined : new Credential(found);
  }

  #take(next: Credential | undefined): void {
    if (next === undefined) {
      throw new CredentialError('ERR_NOT_FOUND', `the vault has no current value of ${this.secretId}`, {
        remedy: 'name an existing secret, or give it a value',
      });
    }
    if (this.isTombstoned(next.versionId)) {
      throw new CredentialError('ERR_TOMBSTONED', `version ${next.versionId} was given up`);
    }
    const served = this.#credential;
    if (served?.versionId === next.versionId) {
      this.#waiting = undefined;
      return;
    }
    this.#check(next);
    if (served !== undefined && this.#heldUntil !== Infinity) this.#waiting = next;
    else this.#serve(next);
  }

  /** @throws CredentialError ERR_VALUE where the version is unusable */
  #check(next: Credential): void {
    try {
      this.#settings.validate?.(next);
      this.#settings.expiresAt?.(next);
    } catch (error) {
      if (isCredentialError(error)) throw error;
      // Without the cause: what a check says may quote the value.
      throw new CredentialError('ERR_VALUE', `version ${next.versionId} doesn't pass the check of its value`);
    }
  }

  #serve(next: Credential): void {
    const previous = this.#credential;
    this.#credential = next;
    this.#waiting = undefined;
    if (!this.isTombstoned(next.versionId)) this.#dead?.delete(next.versionId);
    this.#recovery?.reset();
    this.#settle();
    if (previous === undefined) return;
    if (movedBack(previous, next) && !this.isGivenUp(previous.versionId)) {
      (this.#dead ??= new Map()).set(previous.versionId, false);
    }
    void this.#announce({ next, previous });
  }

  async #announce(swap: Swap): Promise<void> {
    const listeners = this.#listeners;
    if (listeners === undefined) return;
    const { time, swapMs: ms } = this.#settings;
    const late = (): Error => new CredentialError('ERR_TIMEOUT', `a swap isn't done after ${ms / 1000} s`);
    try {
      const well = await within(time, { ms, controller: new AbortController(), late }, async () =>
        listeners.tell('swap', swap),
      );
      if (well) await listeners.tell('swapped', swap);
    } catch (error) {
      await listeners.tell('listenerFailed', { event: 'swap', error });
    }
  }

  #confirmed(): void {
    const { time, refreshMs, staleMs, expiresAt } = this.#settings;
    this.#readAt = time.monotonic();
    this.#readAtWall = time.now();
    this.#failures = 0;
    const dies = this.#credential === undefined ? undefined : expiresAt?.(this.#credential);
    const left = Math.max(0, (dies ?? Infinity) - this.#readAtWall);
    this.#limitAt = this.#readAt + Math.min(staleMs, left);
    // Up to a tenth earlier, so that agents that started together don't come together.
    const spread = 1 - time.random() / 10;
    const refreshIn = Math.max(SHORTEST_REFRESH_MS, Math.min(refreshMs, left * 0.75) * spread);
    this.#refreshAt = this.#readAt + refreshIn;
    if (this.#stale) {
      this.#stale = false;
      this.#settle();
    }
    this.#arm();
  }

  #failed(error: CredentialError): void {
    const { time } = this.#settings;
    this.#failures++;
    const retryMs = backoffMs(this.#failures, LONGEST_RETRY_MS, time.random());
    this.#refreshAt = time.monotonic() + retryMs;
    this.#arm();
    if (isCredentialError(error, 'ERR_NOT_FOUND', 'ERR_DENIED', 'ERR_VALUE')) this.#first?.(error);
    const failure = { error, failures: this.#failures, retryInSeconds: retryMs / 1000 };
    void this.#listeners?.tell('refreshFailed', failure);
  }

  #expire(): void {
    this.#limitAt = Infinity;
    if (this.#stale) return;
    this.#stale = true;
    this.#settle();
    void this.#listeners?.tell('stale', this.#pastLimit());
  }

  #settle(): void {
    const shut = this.#closed || this.#stale || this.#haltedFor !== undefined;
    this.#open = shut ? undefined : this.#credential;
    this.#answer = undefined;
  }

  #arm(): void {
    if (!this.#closed) this.#settings.agenda.arm(this.dueAt);
  }

  #refusal(): CredentialError {
    if (this.#closed) return new CredentialError('ERR_CLOSED', `the source of ${this.secretId} is closed`);
    if (this.#haltedFor === undefined) return this.#pastLimit();
    return new CredentialError('ERR_HALTED', `the agent was told to stop: ${this.#haltedFor}`);
  }

  #pastLimit(): CredentialError {
    return new CredentialError('ERR_STALE', `the value of ${this.secretId} is past its limit`, {
      remedy: 'the vault could not be read in time: refreshFailed says why',
    });
  }

  #late(): CredentialError {
    const seconds = this.#settings.fetchMs / 1000;
    return new CredentialError('ERR_TIMEOUT', `the vault has not answered in ${seconds} s`);
  }

  #noFirstValue(): CredentialError {
    const seconds = this.#settings.firstValueMs / 1000;
    return new CredentialError('ERR_TIMEOUT', `no value of ${this.secretId} after ${seconds} s`, {
      remedy: 'a listener of refreshFailed, given as option "on", hears of each try',
    });
  }
}

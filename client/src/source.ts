import type { Member } from './agenda.ts';
import type { FailureTest } from './authentication.ts';
import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';
import { asCredentialError, type CredentialError } from './errors.ts';
import { Extras } from './extras.ts';
import { firstValue } from './first-value.ts';
import { movedBack } from './labels.ts';
import type { Listener, SourceEvents } from './listeners.ts';
import { observed, type Work } from './observed.ts';
import { millisecondsOf, type Settings } from './options.ts';
import { assertUsable, readFrom, termsOf } from './reading.ts';
import { Recovery, type Peek, type Recovering } from './recovery.ts';
import { closedSource, givenUp, halted, lateVault, noValue, pastLimit } from './refusals.ts';
import { backoffMs } from './time.ts';
import type { Stage } from './vault.ts';

/** Under so much validity no new task is begun (Z4). */
const TASK_MARGIN_MS = 120_000;
const LONGEST_RETRY_MS = 60_000;

/** One look at AWSCURRENT. */
interface Flight {
  readonly controller: AbortController;
  readonly beganAtWall: number;
  /** What it ended with. Never rejects. */
  readonly done: Promise<CredentialError | undefined>;
}

/**
 * The one implementation of a source; `createCredentialSource` makes it and waits for the first value. Instants are whole
 * milliseconds, small enough to need no object of their own, and what most sources never need is made when they do:
 * a source with its credential and its answer takes less than 450 bytes (`npm run bench -- client`).
 */
export class RotatingSource implements CredentialSource, Member, Recovering {
  readonly secretId: string;
  readonly #settings: Settings;
  /** The version that is served, or was until the source was shut. */
  #credential: Credential | undefined;
  /** The same while it may be used: what `current` gives without looking at anything else. */
  #open: Credential | undefined;
  /** The same as a promise: what `get` gives, made once. */
  #answer: Promise<Credential> | undefined;
  /** Instants of the monotonic clock; undefined where nothing is due. */
  #refreshAt: number | undefined;
  #limitAt: number | undefined;
  #readAt = 0;
  /** The wall clock then, since the settings were made. */
  #readAtWall = 0;
  #flight: Flight | undefined;
  #extras: Extras | undefined;

  constructor(secretId: string, settings: Settings) {
    this.secretId = secretId;
    this.#settings = settings;
    for (const [name, listener] of Object.entries(settings.on ?? {})) {
      this.on(name as keyof SourceEvents, listener as Listener<keyof SourceEvents>);
    }
  }

  /** Waits for the first value, then lives by itself. @throws CredentialError at once where another try is pointless */
  async start(): Promise<void> {
    const look = async (): Promise<CredentialError | undefined> => this.#begin().done;
    await firstValue(this.secretId, this.#settings, look, () => this.#extras?.trouble?.retryMs ?? 0);
    this.#settings.agenda.add(this);
    this.#arm();
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
    if (this.#extras?.shut === 'stale') await this.#flight?.done;
    return this.current();
  }

  async use<T>(work: Work<T>, isFailure: FailureTest = this.#settings.isAuthenticationFailure): Promise<T> {
    const served = this.current();
    const credential = this.#extras?.recovery?.first() ?? served;
    const attempt = this.#extras?.listeners.hears('used') === true ? this.#observed(work, isFailure) : work;
    try {
      return await attempt(credential);
    } catch (error) {
      if (!isFailure(error)) throw error;
      const recovery = (this.#extra().recovery ??= new Recovery(this, this.#settings.time));
      return recovery.repeat(attempt, isFailure, { credential, error });
    }
  }

  #observed<T>(work: Work<T>, isFailure: FailureTest): Work<T> {
    const { listeners, underWay } = this.#extra();
    const told = observed(work, isFailure, (use) => void listeners.tell('used', use));
    return async (credential) => underWay.during(credential.versionId, async () => told(credential));
  }

  get acceptsNewTasks(): boolean {
    const { time, expiresAt } = this.#settings;
    if (this.#open === undefined || this.isTombstoned(this.#open.versionId)) return false;
    const dies = expiresAt?.(this.#open) ?? Infinity;
    if (dies - time.now() < TASK_MARGIN_MS) return false;
    // As long as refreshes succeed, no end is in sight.
    return this.#extras?.trouble === undefined || (this.#limitAt ?? 0) - time.monotonic() >= TASK_MARGIN_MS;
  }

  async refreshNow(): Promise<Credential> {
    const error = await this.refreshed();
    if (error !== undefined) throw error;
    return this.current();
  }

  async refreshed(): Promise<CredentialError | undefined> {
    // A look that is under way may have read before the call.
    if (this.#flight !== undefined) await this.#flight.done;
    if (this.#extras?.shut === 'closed') return this.#refusal();
    return (this.#flight ?? this.#begin()).done;
  }

  async freshAtInvocation(): Promise<Credential> {
    const { time, refreshMs, fetchMs, madeAt } = this.#settings;
    // Either clock may be wrong after a freeze: the wall clock may be set back, the other may have stood still.
    const age = Math.max(time.now() - madeAt - this.#readAtWall, time.monotonic() - this.#readAt);
    if (this.#limitAt !== undefined && age >= this.#limitAt - this.#readAt) this.#expire();
    if ((age >= refreshMs && !this.#triedJustNow()) || this.#extras?.shut === 'stale') {
      // What was under way before the freeze has no connection left.
      const flight = this.#flight;
      if (flight !== undefined && time.now() - flight.beganAtWall > fetchMs)
        flight.controller.abort(lateVault(fetchMs));
      await this.refreshed();
    }
    return this.current();
  }

  hold(seconds: number): void {
    this.#extra().heldUntil = Math.round(
      this.#settings.time.monotonic() + millisecondsOf('seconds', seconds),
    );
    this.#arm();
  }

  release(): void {
    if (this.#extras === undefined) return;
    this.#extras.heldUntil = undefined;
    if (this.#extras.waiting !== undefined) this.#serve(this.#extras.waiting);
  }

  halt(reason: string): void {
    this.#extra().haltedFor = reason;
    this.#settle();
    void this.#extras?.listeners.tell('halted', { reason });
  }

  async resume(): Promise<void> {
    if (this.#extras?.haltedFor === undefined) return;
    await this.refreshed();
    const reason = this.#extras.haltedFor;
    this.#extras.haltedFor = undefined;
    this.#settle();
    void this.#extras?.listeners.tell('resumed', { reason });
  }

  tombstone(versionId: string): void {
    this.#extra().tombstone(versionId);
    if (this.#credential?.versionId === versionId) void this.refreshed();
  }

  isTombstoned(versionId: string): boolean {
    return this.#extras?.isTombstoned(versionId) === true;
  }

  isGivenUp(versionId: string): boolean {
    return this.#extras?.isGivenUp(versionId) === true;
  }

  on<Name extends keyof SourceEvents>(event: Name, listener: Listener<Name>): () => void {
    return this.#extra().listeners.add(event, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#extra().shut = 'closed';
    this.#settle();
    this.#settings.agenda.remove(this);
    this.#flight?.controller.abort(this.#refusal());
    await this.#flight?.done;
  }

  get dueAt(): number {
    return Math.min(
      this.#refreshAt ?? Infinity,
      this.#limitAt ?? Infinity,
      this.#extras?.heldUntil ?? Infinity,
    );
  }

  wake(now: number): void {
    if (this.#limitAt !== undefined && now >= this.#limitAt) this.#expire();
    const heldUntil = this.#extras?.heldUntil;
    if (heldUntil !== undefined && now >= heldUntil) this.release();
    if (this.#refreshAt !== undefined && now >= this.#refreshAt && this.#flight === undefined) this.#begin();
  }

  peek(): Peek {
    const isShut = this.#open === undefined;
    return { served: this.#credential, waiting: this.#extras?.waiting, isShut };
  }

  async read(stage: Stage): Promise<Credential | undefined> {
    try {
      const found = await this.#ask(stage, new AbortController());
      if (found !== undefined) assertUsable(this.#settings, found);
      return found;
    } catch {
      // The labels beside AWSCURRENT only help; agents may not even be allowed to read them.
      return undefined;
    }
  }

  refreshWithin(ms: number): void {
    if (this.#flight !== undefined) return;
    const at = Math.round(this.#settings.time.monotonic() + ms);
    this.#refreshAt = Math.min(this.#refreshAt ?? at, at);
    this.#arm();
  }

  #begin(): Flight {
    const controller = new AbortController();
    this.#refreshAt = undefined;
    const beganAtWall = this.#settings.time.now();
    return (this.#flight = { controller, beganAtWall, done: this.#fly(controller, beganAtWall) });
  }

  async #fly(controller: AbortController, beganAtWall: number): Promise<CredentialError | undefined> {
    try {
      const found = await this.#ask('AWSCURRENT', controller);
      this.#take(found);
      this.#confirmed();
      return undefined;
    } catch (error) {
      const failure = asCredentialError(error);
      if (this.#extras?.shut !== 'closed') this.#failed(failure, beganAtWall);
      return failure;
    } finally {
      this.#flight = undefined;
    }
  }

  async #ask(stage: Stage, controller: AbortController): Promise<Credential | undefined> {
    return readFrom(this.#settings, this.secretId, stage, controller);
  }

  #take(next: Credential | undefined): void {
    if (next === undefined) throw noValue(this.secretId);
    if (this.isTombstoned(next.versionId)) throw givenUp(next.versionId);
    const served = this.#credential;
    if (served?.versionId === next.versionId) {
      if (this.#extras !== undefined) this.#extras.waiting = undefined;
      return;
    }
    assertUsable(this.#settings, next);
    if (served !== undefined && this.#extras?.heldUntil !== undefined) this.#extras.waiting = next;
    else this.#serve(next);
  }

  #serve(next: Credential): void {
    const previous = this.#credential;
    this.#credential = next;
    this.#extras?.serves(next.versionId);
    this.#settle();
    if (previous === undefined) return;
    if (movedBack(previous, next)) this.#extra().gaveUp(previous.versionId);
    const { time, swapMs } = this.#settings;
    const { listeners, underWay } = this.#extras ?? {};
    void listeners?.tellSwap({ next, previous }, time, swapMs, underWay?.ended(previous.versionId));
  }

  #confirmed(): void {
    const { time, madeAt } = this.#settings;
    this.#readAt = Math.round(time.monotonic());
    this.#readAtWall = Math.round(time.now() - madeAt);
    if (this.#extras !== undefined) this.#extras.trouble = undefined;
    const { refreshMs, limitMs } = termsOf(this.#settings, this.#credential);
    this.#limitAt = Math.round(this.#readAt + limitMs);
    this.#refreshAt = Math.round(this.#readAt + refreshMs);
    if (this.#extras?.shut === 'stale') {
      this.#extras.shut = undefined;
      this.#settle();
    }
    this.#arm();
  }

  #failed(error: CredentialError, triedAtWall: number): void {
    const { time } = this.#settings;
    const failures = (this.#extras?.trouble?.failures ?? 0) + 1;
    const retryMs = backoffMs(failures, LONGEST_RETRY_MS, time.random());
    this.#extra().trouble = { failures, retryMs, triedAtWall };
    this.#refreshAt = Math.round(time.monotonic() + retryMs);
    this.#arm();
    void this.#extras?.listeners.tell('refreshFailed', { error, failures, retryInSeconds: retryMs / 1000 });
  }

  #expire(): void {
    this.#limitAt = undefined;
    if (this.#extras?.shut !== undefined) return;
    this.#extra().shut = 'stale';
    this.#settle();
    void this.#extras?.listeners.tell('stale', pastLimit(this.secretId));
  }

  /** Whether the last look has failed and its pause isn't over: another one would only make the invocation late. */
  #triedJustNow(): boolean {
    if (this.#extras?.trouble === undefined) return false;
    const since = this.#settings.time.now() - this.#extras?.trouble.triedAtWall;
    return since >= 0 && since < this.#settings.fetchMs + this.#extras?.trouble.retryMs;
  }

  #settle(): void {
    const shut = this.#extras?.shut !== undefined || this.#extras?.haltedFor !== undefined;
    this.#open = shut ? undefined : this.#credential;
    this.#answer = undefined;
  }

  #extra(): Extras {
    return (this.#extras ??= new Extras());
  }

  #arm(): void {
    if (this.#extras?.shut !== 'closed') this.#settings.agenda.arm(this.dueAt);
  }

  #refusal(): CredentialError {
    if (this.#extras?.shut === 'closed') return closedSource(this.secretId);
    const reason = this.#extras?.haltedFor;
    return reason === undefined ? pastLimit(this.secretId) : halted(reason);
  }
}

import { hostname } from 'node:os';
import { asCredentialError, CredentialError, isCredentialError } from '../errors.ts';
import { millisecondsOf } from '../options.ts';
import { backoffMs, systemTime, within, type Time } from '../time.ts';
import { AgentApi, meaningOf } from './api.ts';
import { Checked } from './checked.ts';
import type { Followed } from './followed.ts';
import { Follower } from './follower.ts';
import { Instance, type Held } from './instance.ts';
import type { Notice } from './notice.ts';
import type { AgentSessionOptions, SessionProblem } from './options.ts';
import { refusedOf, UseCounts } from './uses.ts';

/** The time in which this process holds its credentials, as Rekey knows it. */
export interface AgentSession extends AsyncDisposable {
  /** Id of the session; undefined while the agent API can't be reached. */
  readonly id: string | undefined;
  /** Looks at the notices now, e.g. because an event has come. */
  look(): void;
  /**
   * Ends the session by this process's signed word. Rekey takes it that nothing here uses the credentials any more: close
   * pools first. Never rejects.
   */
  close(): Promise<void>;
}

/** A rotation uses the gap between two sessions for so long at most. */
const LONGEST_GAP_MS = 120_000;
const LONGEST_PAUSE_MS = 60_000;
/** While something is under way, notices are looked at so often, or six times between two heartbeats. */
const OFTEN_MS = 10_000;
const MOST_HOLDS = 40;
const OPEN_TRIES = 4;
const CLOSE_TRIES = 3;

/** The one implementation of a session: one loop, one call at a time, so that nothing overtakes an acknowledgement. */
export class Session implements AgentSession {
  readonly #options: AgentSessionOptions;
  readonly #time: Time;
  readonly #timeoutMs: number;
  readonly #api: AgentApi;
  readonly #instance: Instance;
  readonly #followers: readonly Followed[];
  readonly #uses: UseCounts;
  #heartbeatMs = 60_000;
  #heartbeatAt = 0;
  #failures = 0;
  #changed = false;
  #asked = false;
  #closing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #life: Promise<void> | undefined;

  constructor(options: AgentSessionOptions, fixedSeconds?: number) {
    this.#options = options;
    this.#time = options.time ?? systemTime;
    this.#timeoutMs = millisecondsOf('requestTimeoutSeconds', options.requestTimeoutSeconds ?? 10);
    this.#api = new AgentApi({
      api: options.api,
      agent: options.agent,
      sign: options.sign,
      fetch: options.fetch ?? globalThis.fetch,
      timeoutMs: this.#timeoutMs,
      time: this.#time,
    });
    const { pact, instance = `${hostname()}:${process.pid}` } = options;
    this.#instance = new Instance(this.#api, instance, pact);
    this.#uses = new UseCounts(this.#time, this.#api.clock);
    const checkpointMs = millisecondsOf('checkpointTimeoutSeconds', options.checkpointTimeoutSeconds ?? 60);
    const sources = Object.entries(options.credentials).map(
      ([name, source]) =>
        new Follower(name, source, {
          hooks: options,
          time: this.#time,
          checkpointMs,
          fixedSeconds,
          problem: (during, error) => this.#problem(during, error),
          changed: () => this.#change(),
          used: (credential, versionId, refused) => this.#uses.count(credential, versionId, refused),
        }),
    );
    const verifiers = Object.entries(options.verifiers ?? {});
    this.#followers = [...sources, ...verifiers.map(([name, verifier]) => new Checked(name, verifier))];
  }

  get id(): string | undefined {
    return this.#instance.session;
  }

  /**
   * Opens the session, waiting for a rotation that uses the gap, then lives by itself. Where it can't be opened, it goes on
   * trying; with `mustOpen` only a few times.
   * @throws CredentialError where another try is pointless, and with `mustOpen` where none has opened it
   */
  async start(mustOpen = false): Promise<void> {
    const giveUpAt = this.#time.monotonic() + LONGEST_GAP_MS;
    try {
      for (let tried = 1; ; tried++) {
        const error = await this.#tryToOpen();
        if (error === undefined) break;
        const { isPointless, gapMs } = meaningOf(error);
        if (isPointless) throw error;
        const again = mustOpen && tried < OPEN_TRIES ? backoffMs(tried, LONGEST_PAUSE_MS, 1) : undefined;
        const waitMs = gapMs ?? again;
        if (waitMs === undefined || this.#time.monotonic() + waitMs > giveUpAt) {
          this.#problem('open', error);
          if (mustOpen) throw error;
          break;
        }
        await this.#pause(waitMs, true);
      }
    } catch (error) {
      this.#stop();
      await this.#leave();
      throw error;
    }
    this.#life = this.#live();
  }

  /** Reads the sources once more and keeps them as they are then, until the session is closed. */
  async keep(): Promise<void> {
    await Promise.all(this.#followers.map(async (follower) => follower.keep()));
  }

  look(): void {
    this.#asked = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    await (this.#closing ??= this.#end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #live(): Promise<void> {
    // What was opened just now has told its notices.
    let waitMs = this.id === undefined ? backoffMs(1, LONGEST_PAUSE_MS, this.#time.random()) : 0;
    while (this.#closing === undefined) {
      if (waitMs > 0 && !this.#asked) await this.#pause(waitMs, false);
      this.#asked = false;
      if (this.#closing !== undefined) return;
      waitMs = await this.#turn();
    }
  }

  /** One look; gives the time to the next. Never rejects. */
  async #turn(): Promise<number> {
    let during = 'open';
    try {
      if (this.id === undefined) await this.#open();
      const isBeat = this.#changed || this.#time.monotonic() >= this.#heartbeatAt;
      during = isBeat ? 'heartbeat' : 'notices';
      if (isBeat) await this.#heartbeat();
      else this.#follow(await this.#instance.notices());
      during = 'acknowledge';
      await this.#acknowledge();
      this.#failures = 0;
      return this.#nextIn();
    } catch (error) {
      if (this.#closing !== undefined) return 0;
      this.#problem(during, error);
      this.#instance.heed(error);
      this.#failures++;
      return meaningOf(error).gapMs ?? backoffMs(this.#failures, LONGEST_PAUSE_MS, this.#time.random());
    }
  }

  #nextIn(): number {
    const now = this.#api.clock.now();
    const often = Math.min(OFTEN_MS, this.#heartbeatMs / 6) * (0.9 + this.#time.random() / 10);
    const looks = this.#followers.map((follower) => follower.nextLookIn(now, often));
    const beat = this.#changed ? 0 : this.#heartbeatAt - this.#time.monotonic();
    return Math.max(1, Math.min(beat, ...looks));
  }

  async #tryToOpen(): Promise<CredentialError | undefined> {
    try {
      await this.#open();
      return undefined;
    } catch (error) {
      return asCredentialError(error);
    }
  }

  async #open(): Promise<void> {
    const { notices, heartbeatMs } = await this.#instance.open();
    this.#heartbeatMs = heartbeatMs;
    this.#heartbeatAt = this.#time.monotonic();
    this.#follow(notices);
    for (const { name } of this.#followers.filter(({ isKnown }) => !isKnown)) {
      const message = `Rekey tells nothing of "${name}"`;
      const remedy = 'name the credential in the pact, and the agent among its holders';
      this.#problem('open', new CredentialError('ERR_OPTIONS', message, { field: 'credentials', remedy }));
    }
  }

  async #heartbeat(): Promise<void> {
    this.#changed = false;
    try {
      const notices = await this.#instance.heartbeat(this.#held());
      this.#heartbeatAt = this.#time.monotonic() + this.#heartbeatMs * (0.8 + this.#time.random() / 10);
      this.#follow(notices);
    } catch (error) {
      this.#changed = true;
      throw error;
    }
    await this.#report();
  }

  #follow(notices: readonly Notice[]): void {
    const now = this.#api.clock.now();
    for (const notice of notices)
      this.#followers.find(({ name }) => name === notice.credential)?.follow(notice, now);
  }

  /** What keeps one from being acknowledged keeps no other. */
  async #acknowledge(): Promise<void> {
    const failures: unknown[] = [];
    for (const follower of this.#followers)
      await this.#acknowledgeOne(follower).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async #acknowledgeOne(follower: Followed): Promise<void> {
    if (follower.owes === undefined) return;
    const persisted = await this.#isPersisted(follower.name);
    const { owes } = follower;
    // What it holds is told before; then there is nothing that contradicts the acknowledgement.
    if (!persisted || owes === undefined || this.#changed) return;
    await this.#instance.acknowledge(follower.name, owes, persisted);
    follower.acknowledged();
  }

  async #isPersisted(credential: string): Promise<boolean> {
    const { persisted } = this.#options;
    if (persisted === undefined) return true;
    const late = (): Error => new CredentialError('ERR_TIMEOUT', 'persisted has not answered');
    const limit = { ms: this.#timeoutMs, controller: new AbortController(), late };
    return within(this.#time, limit, async () => persisted(credential));
  }

  async #report(): Promise<void> {
    const held = this.#followers.flatMap(({ name, isKnown, current }) =>
      isKnown && current !== undefined ? [{ credential: name, versionId: current }] : [],
    );
    const uses = this.#uses.due(held);
    if (uses.length === 0) return;
    try {
      await this.#instance.report(uses);
      this.#uses.settle(uses);
    } catch (error) {
      // Given up, because the session is being closed: they are sent then.
      if (isCredentialError(error, 'ERR_CLOSED')) return;
      this.#problem('uses', error);
      // Refused as they are: they would be again. One that is named goes, the rest is for the next time.
      if (isCredentialError(error, 'ERR_REFUSED')) this.#uses.settle(refusedOf(error, uses));
    }
  }

  /** What this process holds of what Rekey tells it of. */
  #held(): readonly Held[] {
    return this.#followers
      .filter(({ isKnown }) => isKnown)
      .flatMap(({ name, holds }) => holds.map((versionId) => ({ credential: name, versionId })))
      .slice(0, MOST_HOLDS);
  }

  #change(): void {
    this.#changed = true;
    this.look();
  }

  async #end(): Promise<void> {
    this.#stop();
    this.#wake?.();
    this.#api.abort(new CredentialError('ERR_CLOSED', 'the session is being closed'));
    await this.#life;
    await this.#leave();
  }

  /** Never rejects. */
  async #leave(): Promise<void> {
    await this.#instance.findOut().catch((error: unknown) => this.#problem('close', error));
    if (this.id !== undefined) await this.#report();
    for (let tried = 1; this.id !== undefined; tried++) {
      try {
        await this.#instance.close();
      } catch (error) {
        this.#problem('close', error);
        if (tried === CLOSE_TRIES || !isCredentialError(error, 'ERR_UNAVAILABLE', 'ERR_TIMEOUT')) break;
        await this.#pause(backoffMs(tried, LONGEST_PAUSE_MS, this.#time.random()), true);
      }
    }
    this.#instance.end();
  }

  #stop(): void {
    for (const follower of this.#followers) follower.stop();
  }

  async #pause(ms: number, holdsProcess: boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#time.after(ms, resolve, holdsProcess);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #problem(during: string, error: unknown): void {
    void this.#tell({ during, error });
  }

  /** A hook that fails where it hears of failures has nobody left to tell. */
  async #tell(problem: SessionProblem): Promise<void> {
    try {
      await this.#options.onProblem?.(problem);
    } catch {
      // See above.
    }
  }
}

import type { CredentialSource } from '../credential-source.ts';
import type { Credential } from '../credential.ts';
import { CredentialError } from '../errors.ts';
import type { Swap } from '../listeners.ts';
import { within, type Time } from '../time.ts';
import type { Followed, Owed } from './followed.ts';
import type { Notice } from './notice.ts';
import { proofOf, signedText } from './instance-key.ts';
import type { SessionHooks } from './options.ts';

/** What a follower needs of its session. */
export interface Following {
  readonly hooks: SessionHooks;
  readonly time: Time;
  readonly checkpointMs: number;
  /** For so long the source keeps its version, unless a notice is urgent; undefined where it moves when it is told. */
  readonly fixedSeconds: number | undefined;
  readonly problem: (during: string, error: unknown) => void;
  /** What this process holds has changed. */
  readonly changed: () => void;
  readonly used: (credential: string, versionId: string, refused: boolean) => void;
}

/** A hold outlives what it waits for by so little that the next notice ends it. */
const HOLD_MARGIN_SECONDS = 30;
const LONGEST_HOLD_MS = 24 * 3600_000;

/** Does for one source what the notices of its credential say. */
export class Follower implements Followed {
  readonly name: string;
  readonly #source: CredentialSource;
  readonly #session: Following;
  readonly #unsubscribe: readonly (() => void)[];
  /** Versions that listeners of a swap have yet to let go of, and how often. */
  readonly #draining: Map<string, number> = new Map();
  readonly #buried: Set<string> = new Set();
  #notice: Notice | undefined;
  #current: string | undefined;
  #announced: string | undefined;
  #halted = false;
  #suspended = false;
  #waits = false;
  #moving: Promise<void> | undefined;
  /** The last checkpoint that was begun, and what it was for. */
  #checkpoint: { readonly of: string; readonly done: Promise<void> } | undefined;
  #cancelCheckpoint: (() => void) | undefined;

  constructor(name: string, source: CredentialSource, session: Following) {
    this.name = name;
    this.#source = source;
    this.#session = session;
    this.#current = this.#served()?.versionId;
    this.#unsubscribe = [
      source.on('swap', async (swap) => this.#swap(swap)),
      source.on('swapped', ({ previous }) => this.#drained(previous.versionId)),
      source.on('used', ({ versionId, refused }) => session.used(name, versionId, refused)),
    ];
  }

  /** Whether the server has anything to say of this credential. */
  get isKnown(): boolean {
    return this.#notice !== undefined;
  }

  /** Every version that this process still uses. */
  get holds(): readonly string[] {
    return [...new Set([...(this.#current === undefined ? [] : [this.#current]), ...this.#draining.keys()])];
  }

  /** The version that is served. */
  get current(): string | undefined {
    return this.#current;
  }

  /** @param now by the server's clock */
  follow(notice: Notice, now: number): void {
    this.#notice = notice;
    for (const versionId of notice.tombstoned) if (versionId !== notice.versionId) this.#bury(versionId);
    if (notice.state === 'halted') return this.#halt(notice);
    if (this.#halted) void this.#resume(notice);
    this.#heedSuspension(notice);
    if (notice.state === 'announced' || notice.state === 'deferred') this.#announce(notice, now);
    const waitMs = notice.urgent ? 0 : Date.parse(notice.moveFrom ?? '') - now;
    if (waitMs > 0) return this.#wait(waitMs);
    if (this.#waits) this.#source.release();
    this.#waits = false;
    if (this.#isToMove(notice)) {
      this.#moving ??= this.#move(notice).finally(() => {
        this.#moving = undefined;
        this.#session.changed();
      });
    }
  }

  /** In how many milliseconds the notices are to be looked at again; Infinity where the next heartbeat will do. */
  nextLookIn(now: number, oftenMs: number): number {
    const notice = this.#notice;
    if (notice === undefined || notice.state === 'halted') return Infinity;
    const moveMs = Date.parse(notice.moveFrom ?? '') - now;
    if (moveMs > 0) return moveMs;
    const begins = Date.parse(notice.rotatesAt ?? '') - now;
    if (notice.state === 'announced') return Number.isNaN(begins) ? Infinity : Math.max(oftenMs, begins);
    const isBusy = notice.state === 'rotating' || this.#isToMove(notice) || this.owes !== undefined;
    return isBusy ? oftenMs : Infinity;
  }

  /** What this process has yet to acknowledge and can: it has moved, and nothing of it uses another version. */
  get owes(): Owed | undefined {
    const { acknowledge, rotation, versionId, fingerprint } = this.#notice ?? {};
    if (acknowledge !== true || rotation === undefined || fingerprint === undefined) return undefined;
    if (this.#draining.size > 0 || this.#moving !== undefined) return undefined;
    const credential = this.#served();
    return credential?.versionId === versionId && credential !== undefined
      ? { rotation, fingerprint, versionId: credential.versionId, prove: this.#proving(credential) }
      : undefined;
  }

  /** By the value itself, or with what it lets this process sign, as the notice asks. */
  #proving(credential: Credential): Owed['prove'] {
    if (this.#notice?.proof === undefined) return async (proven) => proofOf(credential, proven);
    const { signWith } = this.#session.hooks;
    return async (proven) => {
      if (this.#notice?.proof === 'signature' && signWith !== undefined)
        return { signature: await signWith(credential, signedText(proven)) };
      throw new CredentialError('ERR_OPTIONS', `"${this.name}" is acknowledged in a way that is not set up`, {
        field: 'signWith',
        remedy: 'give signWith, e.g. kmsSignature: the private part of this credential is in no secret',
      });
    };
  }

  /** The server has taken the acknowledgement; until the next notice, nothing is owed. */
  acknowledged(): void {
    if (this.#notice !== undefined) this.#notice = { ...this.#notice, acknowledge: false };
  }

  /** Reads once more, and keeps what is served then. Where the vault is out, that is what was there. Never rejects. */
  async keep(): Promise<void> {
    await this.#source.refreshNow().catch((error: unknown) => this.#session.problem('move', error));
    this.#hold();
    this.#session.changed();
  }

  /** Hears and does nothing more. */
  stop(): void {
    for (const off of this.#unsubscribe) off();
    this.#cancelCheckpoint?.();
    if (this.#waits || this.#session.fixedSeconds !== undefined) this.#source.release();
  }

  #hold(): void {
    if (this.#session.fixedSeconds !== undefined) this.#source.hold(this.#session.fixedSeconds);
  }

  #wait(ms: number): void {
    if (this.#session.fixedSeconds !== undefined) return;
    this.#waits = true;
    this.#source.hold(Math.min(ms, LONGEST_HOLD_MS) / 1000 + HOLD_MARGIN_SECONDS);
  }

  #isToMove({ versionId, state, urgent }: Notice): boolean {
    if (versionId === undefined || versionId === this.#current) return false;
    // While a value is being made, whoever reads the vault may be ahead of the notice.
    return state !== 'rotating' && (this.#session.fixedSeconds === undefined || urgent);
  }

  async #move(notice: Notice): Promise<void> {
    if (!notice.urgent) await this.#checkpointed(notice);
    try {
      this.#source.release();
      if (this.#current !== notice.versionId) await this.#source.refreshNow();
    } catch (error) {
      this.#session.problem('move', error);
    }
    this.#hold();
  }

  async #swap({ next, previous }: Swap): Promise<void> {
    this.#current = next.versionId;
    this.#draining.set(previous.versionId, (this.#draining.get(previous.versionId) ?? 0) + 1);
    await this.#session.hooks.onSwap?.({ credential: this.name, next, previous });
  }

  #drained(versionId: string): void {
    const left = (this.#draining.get(versionId) ?? 1) - 1;
    if (left > 0) this.#draining.set(versionId, left);
    else this.#draining.delete(versionId);
    this.#session.changed();
  }

  #bury(versionId: string): void {
    if (this.#buried.has(versionId)) return;
    this.#buried.add(versionId);
    this.#source.tombstone(versionId);
  }

  #halt(notice: Notice): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#suspended = false;
    this.#cancelCheckpoint?.();
    this.#source.halt(`${this.name} was revoked in an emergency`);
    void this.#run('onHalt', () => this.#session.hooks.onHalt?.(notice));
  }

  async #resume(notice: Notice): Promise<void> {
    this.#halted = false;
    await this.#source.resume();
    this.#session.changed();
    await this.#run('onResume', () => this.#session.hooks.onResume?.(notice));
  }

  /** Once for each suspension and its end; nothing of what is served, or moved to, follows from it. */
  #heedSuspension(notice: Notice): void {
    const isSuspended = notice.suspended === true;
    if (isSuspended === this.#suspended) return;
    this.#suspended = isSuspended;
    const { hooks } = this.#session;
    if (!isSuspended) return void this.#run('onRestored', () => hooks.onRestored?.(notice));
    void this.#run('onSuspended', () => hooks.onSuspended?.(notice));
    // Beside the one of a rotation, which may come all the same.
    void this.#writeCheckpoint(notice);
  }

  #announce(notice: Notice, now: number): void {
    const { rotation, checkpointBy } = notice;
    if (this.#announced !== rotation) {
      this.#announced = rotation;
      void this.#run('onAnnounced', () => this.#session.hooks.onAnnounced?.(notice));
    }
    // In time to be done by then. A deferral moves the time.
    this.#cancelCheckpoint?.();
    const by = Date.parse(checkpointBy ?? '');
    if (Number.isNaN(by)) return;
    const { time, checkpointMs } = this.#session;
    const ms = Math.min(Math.max(0, by - checkpointMs - now), 2 ** 31 - 1);
    this.#cancelCheckpoint = time.after(ms, () => void this.#checkpointed(notice));
  }

  /** Settles when the checkpoint of this move is written, or has taken too long. Never rejects. */
  #checkpointed(notice: Notice): Promise<void> {
    const of = `${notice.rotation ?? notice.versionId} ${notice.state === 'rolling-back' ? 'back' : ''}`;
    if (this.#checkpoint?.of !== of) this.#checkpoint = { of, done: this.#writeCheckpoint(notice) };
    return this.#checkpoint.done;
  }

  async #writeCheckpoint(notice: Notice): Promise<void> {
    this.#cancelCheckpoint?.();
    const { hooks, time, checkpointMs: ms } = this.#session;
    const late = (): Error =>
      new CredentialError('ERR_TIMEOUT', `the checkpoint isn't written after ${ms / 1000} s`);
    const limit = { ms, controller: new AbortController(), late };
    await this.#run('checkpoint', async () => within(time, limit, async () => hooks.checkpoint?.(notice)));
  }

  async #run(during: string, hook: () => unknown): Promise<void> {
    try {
      await hook();
    } catch (error) {
      this.#session.problem(during, error);
    }
  }

  #served(): Credential | undefined {
    try {
      return this.#source.current();
    } catch {
      return undefined;
    }
  }
}

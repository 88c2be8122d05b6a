import type { FailureTest } from './authentication.ts';
import type { Credential } from './credential.ts';
import type { Listener, SourceEvents } from './listeners.ts';

/**
 * One secret of an agent: read ahead of time, served from memory, exchanged under the running agent. Timers do the work;
 * whoever asks for the credential waits for nobody.
 */
export interface CredentialSource extends AsyncDisposable {
  readonly secretId: string;

  /**
   * The credential, from memory.
   * @throws CredentialError ERR_STALE past the limit, ERR_HALTED, ERR_CLOSED
   */
  current(): Credential;

  /** The same, waiting for the look at the vault that is under way where nothing may be served. */
  get(): Promise<Credential>;

  /**
   * Runs `work` with the credential, and again with another one where `isFailure` says that the upstream has refused it:
   * the one that the vault has by now, else the pending, else the previous one; then, where the
   * upstream has changed over meanwhile, those before once more. When none is left, the last refusal is thrown. `work` must be one that may run again after a refusal.
   */
  use<T>(work: (credential: Credential) => T | Promise<T>, isFailure?: FailureTest): Promise<T>;

  /** False where a task that is begun now might outlive the credential: under 120 seconds of validity are left (Z4). */
  readonly acceptsNewTasks: boolean;

  /**
   * Reads the vault now, by a look that begins after the call.
   * @throws CredentialError where it fails; what is there goes on being served
   */
  refreshNow(): Promise<Credential>;

  /**
   * The credential, read again first where it is due by the wall clock. For sandboxes that freeze, timers included: call
   * it at the beginning of each invocation.
   */
  freshAtInvocation(): Promise<Credential>;

  /** Stays on the present version, for `seconds` at most; a refusal by the upstream ends it. */
  hold(seconds: number): void;
  /** Ends a hold: what was held back is served. */
  release(): void;

  /** Serves nothing until `resume`. Refreshes go on. */
  halt(reason: string): void;
  /** Reads the vault, then serves again, also where the vault doesn't answer. */
  resume(): Promise<void>;

  /** The version was given up: it is never fallen back to, nor moved to, whatever its labels. */
  tombstone(versionId: string): void;

  /** Adds a listener; returns what removes it. */
  on<Name extends keyof SourceEvents>(event: Name, listener: Listener<Name>): () => void;
}

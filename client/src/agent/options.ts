import type { CredentialSource } from '../credential-source.ts';
import type { SignWith } from '../kms-signature.ts';
import type { Swap } from '../listeners.ts';
import type { Time } from '../time.ts';
import type { Verifying } from '../verify/published.ts';
import type { SignRequest } from './api.ts';
import type { Notice } from './notice.ts';

/** A swap of one of the session's credentials. */
export interface CredentialSwap extends Swap {
  readonly credential: string;
}

/** Something that went wrong and disturbs nobody: it is tried again. */
export interface SessionProblem {
  /** What was being done, e.g. `heartbeat` or `checkpoint`. */
  readonly during: string;
  readonly error: unknown;
}

/** What an agent does when it is told something. Each may return a promise. */
export interface SessionHooks {
  /** A rotation comes; told once for each. */
  readonly onAnnounced?: (notice: Notice) => unknown;
  /**
   * Writes down where the agent is. Called in time for the notice's `checkpointBy`, at the latest before the swap, and
   * awaited for `checkpointTimeoutSeconds`; not called where a notice is urgent.
   */
  readonly checkpoint?: (notice: Notice) => unknown;
  /** The new version is served. The swap is done, and acknowledged, when what this returns has settled well. */
  readonly onSwap?: (swap: CredentialSwap) => unknown;
  /** The credential was revoked in an emergency: its source serves nothing. */
  readonly onHalt?: (notice: Notice) => unknown;
  /** That is over, and the source serves again. */
  readonly onResume?: (notice: Notice) => unknown;
  /**
   * The upstream refuses the credential until people have decided whether it has leaked; `checkpoint` is called as well. Begin
   * nothing with it, and wait: the source goes on serving, since there is no other value and one word makes it work again.
   */
  readonly onSuspended?: (notice: Notice) => unknown;
  /** That is over: what the source serves works. Where the credential was revoked instead, `onHalt` is what comes. */
  readonly onRestored?: (notice: Notice) => unknown;
  /**
   * Whether the value of the credential would survive a restart of this process; yes where nothing is said, since a source
   * reads the vault when it starts.
   */
  readonly persisted?: (credential: string) => boolean | Promise<boolean>;
  /**
   * Signs with a credential whose private part is in no secret, e.g. a key in KMS: `kmsSignature`. Needed where such a one is
   * acknowledged.
   */
  readonly signWith?: SignWith;
  /** Hears of what went wrong. */
  readonly onProblem?: (problem: SessionProblem) => unknown;
}

/** What a session is made of. */
export interface AgentSessionOptions extends SessionHooks {
  /** URL of the agent API: output `AgentApi` of the stack `rekey-<stage>-agents`. */
  readonly api: string;
  /** Name of the agent, as the holder is declared. */
  readonly agent: string;
  /** Name of this process as its operators know it; host and process id where nothing is said. */
  readonly instance?: string;
  /** The sources, by the names of their credentials in the pact. */
  readonly credentials: Readonly<Record<string, CredentialSource>>;
  /**
   * What checks the credentials of others, by their names in the pact: `createPublishedKeys`, `createTokenVerifier` of
   * `@rekey/client/verify`. Each proves what it knows of a new one, and is made to forget what was revoked.
   */
  readonly verifiers?: Readonly<Record<string, Verifying>>;
  /** Signs requests, e.g. `sigV4(client.config)` of `@rekey/client/sigv4`. */
  readonly sign: SignRequest;
  /** The pact, which is registered before the session is opened. Leave it out where an operator applies it. */
  readonly pact?: object;
  /** How long a checkpoint may take; 60. */
  readonly checkpointTimeoutSeconds?: number;
  /** How long one call of the agent API may take; 10. */
  readonly requestTimeoutSeconds?: number;
  /** Sends requests; the global `fetch` where nothing is said. */
  readonly fetch?: typeof globalThis.fetch;
  /** Clocks and timers, for tests. */
  readonly time?: Time;
}

import type { Proven } from './instance-key.ts';
import type { Notice } from './notice.ts';

/** What proves that this process has moved, in the field that the notice asks for. */
export type Proof =
  { readonly proof: string } | { readonly signature: string } | { readonly seen: readonly string[] };

/** An acknowledgement that this process can give. */
export interface Owed {
  readonly rotation: string;
  readonly fingerprint: string;
  readonly versionId: string;
  readonly prove: (proven: Proven) => Promise<Proof>;
}

/** What the notices of one credential are for: its source, or what checks it. */
export interface Followed {
  readonly name: string;
  /** Whether the server has anything to say of this credential. */
  readonly isKnown: boolean;
  /** Every version that this process still uses. */
  readonly holds: readonly string[];
  /** The version that is served. */
  readonly current: string | undefined;
  /** What this process has yet to acknowledge and can. */
  readonly owes: Owed | undefined;
  /** @param now by the server's clock */
  follow(notice: Notice, now: number): void;
  /** In how many milliseconds the notices are to be looked at again; Infinity where the next heartbeat will do. */
  nextLookIn(now: number, oftenMs: number): number;
  /** The server has taken the acknowledgement; until the next notice, nothing is owed. */
  acknowledged(): void;
  /** Reads once more, and keeps what is there then. Never rejects. */
  keep(): Promise<void>;
  /** Hears and does nothing more. */
  stop(): void;
}

import type { Baseline } from '../domain/anomalies/baseline.ts';
import type { Instant } from '../domain/clock.ts';
import type { Suspicion } from '../domain/anomalies/suspicion.ts';

/** A baseline as it is kept. */
export interface KeptBaseline {
  readonly baseline: Baseline;
  /** Raised by every change; 0: nothing is kept yet. */
  readonly version: number;
}

/** How far reports of uses were judged. */
export interface Progress {
  /** Beginning of the slot of time that is judged next, or is being judged. */
  readonly slot: Instant;
  /** Where its list of credentials goes on. */
  readonly page?: string;
}

/** What is usual of secrets and of who uses them, and what was found unusual. Apart from heads and records, as readers are. */
export interface Baselines {
  /** `of` is somebody by a text that nobody else has; absent for the secret as a whole. */
  read(secret: string, of?: string): Promise<KeptBaseline>;
  /** Keeps what has become of one that was read; false where somebody else was faster. */
  keep(secret: string, of: string | undefined, kept: KeptBaseline): Promise<boolean>;
  /** Keeps a suspicion until it is weighed; nothing where the same one was kept within the week. */
  suspect(suspicion: Suspicion): Promise<void>;
  /** Those that wait to be weighed, the longest waiting first. */
  suspicions(limit: number): Promise<readonly Suspicion[]>;
  /** How far reports of uses were judged; undefined where none were yet. */
  progress(): Promise<Progress | undefined>;
  proceed(progress: Progress): Promise<void>;
  /** It was weighed: it waits no more, and isn't kept anew within the week. */
  weighed(suspicion: Suspicion): Promise<void>;
}

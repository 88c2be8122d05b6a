import type { Instant } from '../domain/clock.ts';
import type { Interval } from '../domain/forensics/facts.ts';
import type { UpstreamSource, UpstreamUse, UseCoverage } from '../domain/upstream-use.ts';

/**
 * Uses of credentials as upstreams tell of them, beside the ledger for 35 days (`USES_KEPT_SECONDS`); the archive keeps them for
 * good. Apart from heads and records, and in no chain: whoever writes them may write nothing else.
 */
export interface UpstreamUses {
  /**
   * Keeps uses; what is kept already is widened, so that the same again, late or out of order, comes to the same. Answers how
   * many were news.
   */
  keep(uses: readonly UpstreamUse[]): Promise<number>;
  /**
   * Keeps of which times a source has told: for one credential, by its id, for all at a server (`serverOf`), or for all of them
   * (`DEPLOYMENT`). Under any other name it is found by that name alone.
   */
  cover(source: UpstreamSource, of: string, times: readonly Interval[]): Promise<void>;
  /** Uses of a credential that reach into this time, by the minute in which they began. */
  log(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse>;
  /** Those that began in this time of whole minutes, in its order; the end is exclusive. */
  begun(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse>;
  /** Of which times sources have told, of this credential, of the server that it is at (`serverOf`), or of all. */
  coverage(credentialId: string, server?: string): Promise<readonly UseCoverage[]>;
}

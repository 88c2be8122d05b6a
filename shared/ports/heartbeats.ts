import type { Instant } from '../domain/clock.ts';
import type { FunctionName } from '../names.ts';

/**
 * When functions that run by schedule last did all that they had to. It is no event of a credential's life: it joins no
 * chain, and each beat takes the place of the one before.
 */
export interface Heartbeats {
  beat(functionName: FunctionName): Promise<void>;
  /** Undefined where it has never beaten: versions before this one don't. */
  last(functionName: FunctionName): Promise<Instant | undefined>;
}

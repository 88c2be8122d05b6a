import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { pause } from '../http/exchange.ts';

/** How a new credential is waited for. */
export interface Propagation {
  /** What the upstream is called in messages. */
  readonly name: string;
  readonly seconds: number;
  /** So often in a row it is taken before it counts as known everywhere; once where nothing is said. */
  readonly times?: number;
  /**
   * Whether it still exists: asked where it isn't taken, of an upstream that tells at once. Else it may as well have been
   * ended by somebody.
   */
  readonly exists?: () => Promise<boolean>;
  /** Whether the upstream has it everywhere, of one that tells: before that no use counts. */
  readonly isThere?: () => Promise<boolean>;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 4000;
/** A listing may not show yet what was just made: so often in a row something is missing before it counts as gone. */
const MISSING_LOOKS = 3;

/**
 * Uses a new credential until it is taken: upstreams tell their parts of it one after another. `use` throws ERR_REJECTED
 * where it isn't.
 * @throws RekeyError ERR_NOT_PROPAGATED, ERR_REJECTED where it is gone, and what `use` throws beside
 */
export async function untilTaken(
  use: () => Promise<void>,
  { name, seconds, times = 1, exists, isThere }: Propagation,
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  let missing = 0;
  for (let taken = 0, waitMs = FIRST_WAIT_MS; ;) {
    const there = isThere === undefined || (await isThere());
    try {
      if (!there) throw new RekeyError('ERR_REJECTED', `${name} does not have the new key everywhere yet`);
      await use();
      if (++taken === times) return;
    } catch (error) {
      if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
      missing = exists === undefined || (await exists()) ? 0 : missing + 1;
      taken = 0;
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      const isLate = performance.now() + waitMs > until;
      if (missing === MISSING_LOOKS || (isLate && missing > 0)) throw newKeyGone(name, error);
      if (isLate) throw notYet(name, error);
    }
    await pause(waitMs);
  }
}

/** The refusal of a new key that somebody has ended before it was used. */
export function newKeyGone(name: string, cause?: unknown): RekeyError {
  return new RekeyError('ERR_REJECTED', `the new key is suspended or gone at ${name}`, {
    remedy: 'somebody has ended it there; start a new rotation',
    cause,
  });
}

function notYet(name: string, cause: unknown): RekeyError {
  return new RekeyError('ERR_NOT_PROPAGATED', `${name} does not take the new key everywhere yet`, {
    remedy: 'it is tried again; if it goes on, look whether the key may do what it is tested with',
    cause,
  });
}

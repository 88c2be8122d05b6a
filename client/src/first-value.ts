import { isCredentialError, type CredentialError } from './errors.ts';
import type { Settings } from './options.ts';
import { noFirstValue } from './refusals.ts';
import { within } from './time.ts';

/** What another try won't mend, when there is no value yet. */
const POINTLESS = ['ERR_NOT_FOUND', 'ERR_DENIED', 'ERR_VALUE'] as const;

/**
 * Looks until there is a first value. Holds the process meanwhile, which may have nothing else to live for.
 * @param look ends with what was in the way; never rejects
 * @param pauseMs the pause after a look that has failed
 * @throws CredentialError at once where another try is pointless, ERR_TIMEOUT where none has found a value in time
 */
export async function firstValue(
  secretId: string,
  { time, firstValueMs }: Settings,
  look: () => Promise<CredentialError | undefined>,
  pauseMs: () => number,
): Promise<void> {
  const late = (): Error => noFirstValue(secretId, firstValueMs);
  const deadline = time.monotonic() + firstValueMs;
  const inTime = async <T>(work: () => Promise<T>): Promise<T> => {
    const limit = { ms: deadline - time.monotonic(), controller: new AbortController(), late };
    return within(time, { ...limit, holdsProcess: true }, work);
  };
  for (;;) {
    const error = await inTime(look);
    if (error === undefined) return;
    if (isCredentialError(error, ...POINTLESS)) throw error;
    await inTime(async () => new Promise<void>((resolve) => void time.after(pauseMs(), resolve)));
  }
}

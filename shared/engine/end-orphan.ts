import type { CredentialHandle } from '../domain/credential.ts';
import { assertConfirmed, awaitsOperator } from '../domain/evidence.ts';
import type { upstream } from './state.ts';

/** How often an end is tried that the upstream doesn't confirm. */
const TRIES = 3;

/**
 * Ends what this process has brought to life while something else took over. No later step may know of it, so an end
 * that isn't confirmed is tried again here.
 * @throws RekeyError ERR_UNAVAILABLE where it still isn't confirmed, or what the provider raised.
 */
export async function endOrphan(
  { provider, target, ctx }: Awaited<ReturnType<typeof upstream>>,
  handle: CredentialHandle,
): Promise<void> {
  for (let left = TRIES - 1; ; left--) {
    const deactivation = await provider.revoke(target, handle, { endSessions: true }, ctx);
    // What only a person can end is listed as this credential's own, wherever it is looked for next.
    if (awaitsOperator(deactivation)) return;
    if (deactivation.confirmed || left === 0) return assertConfirmed(deactivation);
  }
}

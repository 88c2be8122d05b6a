import { Credential } from './credential.ts';
import { isCredentialError } from './errors.ts';
import type { Settings } from './options.ts';
import { lateVault, unusable } from './refusals.ts';
import { within } from './time.ts';
import { assertVersion, type Stage } from './vault.ts';

/** The soonest time after which a value is read again, however short its life is. */
const SHORTEST_REFRESH_MS = 1_000;

/**
 * One look at the vault, for a limited time. Undefined where no version has the label.
 * @throws CredentialError, or what the vault throws
 */
export async function readFrom(
  { vault, time, fetchMs }: Settings,
  secretId: string,
  stage: Stage,
  controller: AbortController,
): Promise<Credential | undefined> {
  const limit = { ms: fetchMs, controller, late: () => lateVault(fetchMs) };
  const found = await within(time, limit, async (signal) => vault.read(secretId, stage, signal));
  if (found === undefined) return undefined;
  assertVersion(found);
  return new Credential(found);
}

/** @throws CredentialError ERR_VALUE where the version is unusable */
export function assertUsable({ validate, expiresAt }: Settings, next: Credential): void {
  try {
    validate?.(next);
    expiresAt?.(next);
  } catch (error) {
    throw isCredentialError(error) ? error : unusable(next.versionId);
  }
}

/** In how many milliseconds a value that was read just now is to be read again, and is no longer served. */
export function termsOf(
  { time, refreshMs, staleMs, expiresAt }: Settings,
  credential: Credential | undefined,
): { readonly refreshMs: number; readonly limitMs: number } {
  const dies = credential === undefined ? undefined : expiresAt?.(credential);
  const left = Math.max(0, (dies ?? Infinity) - time.now());
  // Up to a tenth earlier, so that agents that started together don't come together.
  const spread = 1 - time.random() / 10;
  return {
    refreshMs: Math.max(SHORTEST_REFRESH_MS, Math.min(refreshMs, left * 0.75) * spread),
    limitMs: Math.min(staleMs, left),
  };
}

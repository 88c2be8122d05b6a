import type { EngineDeps } from './deps.ts';

/**
 * Takes AWSPENDING off every version but `ours` and the current one (there it is harmless): what a refused or
 * abandoned rotation left behind would otherwise block RotateSecret for good, since the service "reattempts" it
 * (traps). Whoever calls holds the credential, so no other rotation is under way.
 */
export async function clearPending(
  deps: Pick<EngineDeps, 'vault'>,
  secret: string,
  ours?: string,
): Promise<void> {
  const described = await deps.vault.describe(secret);
  for (const [version, stages] of Object.entries(described?.versions ?? {})) {
    if (version === ours || stages.includes('AWSCURRENT') || !stages.includes('AWSPENDING')) continue;
    await deps.vault.stripPending(secret, version);
  }
}

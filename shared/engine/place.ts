import type { CredentialHandle } from '../domain/credential.ts';
import { recorded, type Place } from '../domain/place.ts';
import type { AnyProvider, ProviderContext } from '../providers/provider.ts';
import { inTime } from './patience.ts';

/** How long a step waits for what is only told (ms). */
const PATIENCE_MS = 3000;

/**
 * Where a credential lives at its upstream, for the record of what was done with it; `unknown` where nobody answers in time
 * or may tell, absent where the upstream has no such thing. No step fails for it.
 */
export async function placeOf(
  { provider, target, ctx }: { provider: AnyProvider; target: unknown; ctx: ProviderContext },
  handle: CredentialHandle,
): Promise<{ place?: Place | 'unknown' }> {
  if (provider.place === undefined) return {};
  const place = await inTime(provider.place(target, handle, ctx), PATIENCE_MS);
  return { place: place === undefined ? 'unknown' : recorded(place) };
}

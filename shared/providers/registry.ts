import { PROVIDERS } from '#providers';
import { CAPABILITIES } from '../domain/capabilities.ts';
import { RekeyError } from '../domain/errors.ts';
import { ROOT_UPSTREAMS } from '../domain/root-steps.ts';
import { BY_HAND, isRoot } from '../domain/roots.ts';
import type { AnyProvider } from './provider.ts';

/** The provider for a credential. @throws RekeyError ERR_DECLARATION naming the ones that there are */
export async function providerFor(type: string, provider: string): Promise<AnyProvider> {
  const key = `${type}/${provider}`;
  const load = Object.hasOwn(PROVIDERS, key) ? PROVIDERS[key] : undefined;
  if (load !== undefined) return load();
  const known = Object.keys(PROVIDERS);
  const typeKnown = known.some((each) => each.startsWith(`${type}/`));
  throw new RekeyError('ERR_DECLARATION', `there is no provider "${provider}" for the type "${type}"`, {
    field: typeKnown ? 'provider' : 'type',
    remedy: typeKnown && isRoot(type) ? rootRemedy(provider) : `use one of: ${known.join(', ')}`,
  });
}

/** Of roots few are rotated; for every other upstream a person does it. */
function rootRemedy(provider: string): string {
  const own = Object.keys(CAPABILITIES)
    .map((each) => each.split('/') as [string, string])
    .filter(([type, name]) => isRoot(type) && name !== BY_HAND)
    .map(([, name]) => name);
  const upstream = ROOT_UPSTREAMS.find((each) => each === provider) ?? 'other';
  return `Rekey rotates roots of: ${own.join(', ')}; for this one write provider: ${BY_HAND} with target.upstream: ${upstream}`;
}

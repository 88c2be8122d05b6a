import { PROVIDERS } from '#providers';
import { RekeyError } from '../domain/errors.ts';
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
    remedy: `use one of: ${known.join(', ')}`,
  });
}

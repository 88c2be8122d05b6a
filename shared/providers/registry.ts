import { RekeyError } from '../domain/errors.ts';
import { postgresqlProvider } from './postgresql/provider.ts';
import type { AnyProvider } from './provider.ts';

const PROVIDERS: readonly AnyProvider[] = [postgresqlProvider];

/** The provider for a credential. @throws RekeyError ERR_DECLARATION naming the ones that there are */
export function providerFor(type: string, provider: string): AnyProvider {
  const found = PROVIDERS.find((each) => each.type === type && each.provider === provider);
  if (found !== undefined) return found;
  const known = PROVIDERS.map((each) => `${each.type}/${each.provider}`).join(', ');
  const typeKnown = PROVIDERS.some((each) => each.type === type);
  throw new RekeyError('ERR_DECLARATION', `there is no provider "${provider}" for the type "${type}"`, {
    field: typeKnown ? 'provider' : 'type',
    remedy: `use one of: ${known}`,
  });
}

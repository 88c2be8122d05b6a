import type { SetRef } from '../../domain/directory.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { ProviderContext } from '../provider.ts';
import { identitiesOf } from './steps.ts';

/** How long the directory may take to answer. */
export const DIRECTORY_MS = 5000;

/** Where verifiers find a set. @throws RekeyError ERR_UNAVAILABLE */
export function addressOf({ kind, name }: SetRef, ctx: ProviderContext): URL {
  const { url } = identitiesOf(ctx);
  if (url !== undefined) return new URL(`${url.replace(/\/$/, '')}/${kind}/${name}`);
  throw new RekeyError('ERR_UNAVAILABLE', 'this function was made without the address of the directory', {
    remedy: 'deploy the stack again',
  });
}

/** Asks for a set as a verifier does; undefined where nothing answers. */
export async function askedFor(ref: SetRef, ctx: ProviderContext): Promise<Response | undefined> {
  const options = { redirect: 'error', signal: AbortSignal.timeout(DIRECTORY_MS) } as const;
  return fetch(addressOf(ref, ctx), options).catch(() => undefined);
}

/** Refuses where verifiers are not answered. A set that nobody has yet is not there, and says so. */
export async function assertServed(ref: SetRef, ctx: ProviderContext): Promise<void> {
  const status = (await askedFor(ref, ctx))?.status ?? 0;
  if (status === 200 || status === 404) return;
  throw unserved();
}

/** What verifiers read is not there for the moment. */
export function unserved(): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', 'the directory does not answer as it should', {
    field: 'target.name',
    remedy: 'it is tried again; look at the function serve-directory and its API',
  });
}

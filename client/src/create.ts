import type { CredentialSource } from './credential-source.ts';
import { CredentialError } from './errors.ts';
import { settingsOf, type Settings, type SharedOptions, type SourceOptions } from './options.ts';
import { RotatingSource } from './source.ts';

/** Sources by the names that the agent gives them; disposing of it closes all. */
export type CredentialSources<Name extends string> = Readonly<Record<Name, CredentialSource>> &
  AsyncDisposable;

/**
 * A source of one secret, which has its first value.
 * @throws CredentialError where there is none in time, or never will be
 */
export async function createCredentialSource(options: SourceOptions): Promise<CredentialSource> {
  return started(options.secretId, settingsOf(options));
}

/**
 * Sources of several secrets: `secrets` has the secret's name or ARN for each name. They share a timer.
 * @throws CredentialError where one of them has no value; then none is left open
 */
export async function createCredentialSources<Name extends string>(
  secrets: Readonly<Record<Name, string>>,
  options: SharedOptions,
): Promise<CredentialSources<Name>> {
  const settings = settingsOf(options);
  const names = Object.keys(secrets) as Name[];
  const results = await Promise.allSettled(names.map(async (name) => started(secrets[name], settings)));
  const sources: Record<string, CredentialSource> = {};
  for (const [at, name] of names.entries()) {
    const result = results[at];
    if (result?.status === 'fulfilled') sources[name] = result.value;
  }
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await closeAll(sources);
    throw failed.reason;
  }
  // All are there: none has failed.
  return Object.assign(sources as Record<Name, CredentialSource>, {
    [Symbol.asyncDispose]: async () => closeAll(sources),
  });
}

async function closeAll(sources: Readonly<Record<string, CredentialSource>>): Promise<void> {
  await Promise.all(Object.values(sources).map((source) => source[Symbol.asyncDispose]()));
}

async function started(secretId: string, settings: Settings): Promise<RotatingSource> {
  if (secretId === '') {
    throw new CredentialError('ERR_OPTIONS', 'secretId is empty', {
      field: 'secretId',
      remedy: 'give the name or the ARN of the secret',
    });
  }
  const source = new RotatingSource(secretId, settings);
  try {
    await source.start();
    return source;
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

import { apiKeyOptions, type ApiKeyOptions } from './api-key.ts';
import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';

export type { ApiKeyOptions } from './api-key.ts';

/**
 * Options for OpenAI's SDK: `new OpenAI(openAiOptions(source))`. `keyOf` takes the key out of a value that is
 * neither the key alone nor `{"apiKey": …}`, which Rekey writes.
 */
export function openAiOptions(
  source: CredentialSource,
  keyOf?: (credential: Credential) => string,
): ApiKeyOptions {
  return apiKeyOptions(source, keyOf);
}

import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';
import { rotatingFetch } from './fetch.ts';

/** Options of an SDK's client that make its key rotate. */
export interface ApiKeyOptions {
  /** The SDK asks for the key at each request. */
  readonly apiKey: () => Promise<string>;
  /** Sends a request again, with another version of the key, where the first was refused. */
  readonly fetch: typeof globalThis.fetch;
}

/** The key in a secret as Rekey writes it, `{"apiKey": …}`, or one that is nothing but the key. */
export function apiKeyIn(credential: Credential): string {
  return credential.reveal().trimStart().startsWith('{') ? credential.field('apiKey') : credential.reveal();
}

/** For an SDK that takes its key as a function and sends it in a header. */
export function apiKeyOptions(
  source: CredentialSource,
  keyOf: (credential: Credential) => string = apiKeyIn,
): ApiKeyOptions {
  return {
    apiKey: async () => keyOf(await source.get()),
    fetch: rotatingFetch(source, {
      statuses: [401],
      // In the header that the SDK has chosen.
      headers: (credential, request) =>
        request.has('x-api-key')
          ? { 'x-api-key': keyOf(credential) }
          : { authorization: `Bearer ${keyOf(credential)}` },
    }),
  };
}

import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { accessTokenIn } from './access-token.ts';
import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';
import { rotatingFetch } from './fetch.ts';

export { accessTokenExpiry, accessTokenIn } from './access-token.ts';

/** Options of a transport of the MCP SDK that make its access token one of Rekey's. */
export interface McpOptions {
  /** Hands out the access token of the moment, and begins no flow of its own. */
  readonly authProvider: OAuthClientProvider;
  /** Sends a request again, with another version of the token, where the first was refused. */
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>;
}

/**
 * For a transport of `@modelcontextprotocol/sdk`: `new StreamableHTTPClientTransport(url, mcpOptions(source))`. Tokens are
 * refreshed by Rekey alone. Where the server takes none, or asks for more scopes than were granted, the transport gets
 * ERR_CONSENT and nobody is asked: neither a browser nor any server that the refusal names.
 */
export function mcpOptions(source: CredentialSource): McpOptions {
  const rotating = rotatingFetch(source, {
    statuses: [401],
    headers: (credential) => ({ authorization: bearer(credential) }),
  });
  return {
    authProvider: new VaultTokens(source),
    fetch: async (url, init) => {
      // The transport sends other requests through this as well: the token is for the MCP server alone.
      const isAuthorized = new Headers(init?.headers).get('authorization')?.startsWith('Bearer ') === true;
      return isAuthorized ? rotating(url, init) : globalThis.fetch(url, init);
    },
  };
}

function bearer(credential: Credential): string {
  return `Bearer ${accessTokenIn(credential)}`;
}

/** The SDK's view of a session whose tokens somebody else gets: every way that leads to getting some ends here. */
class VaultTokens implements OAuthClientProvider {
  readonly #source: CredentialSource;

  constructor(source: CredentialSource) {
    this.#source = source;
  }

  get redirectUrl(): undefined {
    return undefined;
  }

  get clientMetadata(): { redirect_uris: string[] } {
    return { redirect_uris: [] };
  }

  async tokens(): Promise<{ access_token: string; token_type: string }> {
    return { access_token: accessTokenIn(await this.#source.get()), token_type: 'Bearer' };
  }

  /** The first that the SDK asks for when a token is refused, before it looks anything up. */
  discoveryState(): never {
    throw this.#consent();
  }

  clientInformation(): never {
    throw this.#consent();
  }

  prepareTokenRequest(): never {
    throw this.#consent();
  }

  redirectToAuthorization(): never {
    throw this.#consent();
  }

  saveCodeVerifier(): never {
    throw this.#consent();
  }

  codeVerifier(): never {
    throw this.#consent();
  }

  saveTokens(): never {
    throw this.#consent();
  }

  #consent(): CredentialError {
    const { secretId } = this.#source;
    return new CredentialError(
      'ERR_CONSENT',
      `the MCP server takes no access token of ${secretId}, or wants more scopes than were granted`,
      {
        remedy: 'tell your operator: `rekey show` with the name of the family says whether consent is needed',
      },
    );
  }
}

import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';

/** A `fetch`: that of Node, of `undici`, or one that wraps them. */
export type AnyFetch = (
  input: never,
  init?: never,
) => Promise<{ readonly status: number; readonly body: { cancel(): Promise<void> } | null }>;

/** How a rotating fetch presents the credential. */
export interface FetchOptions<Fetch extends AnyFetch> {
  /** Headers of each request; `authorization: Bearer …` with the whole value where nothing is said. */
  readonly headers?: (credential: Credential, request: Headers) => Readonly<Record<string, string>>;
  /** Answers that mean that the credential was refused; 401 and 403. Leave 403 out where it means a missing right. */
  readonly statuses?: readonly number[];
  /** Sends the request; the global `fetch` where nothing is said. */
  readonly fetch?: Fetch;
}

/** An answer that says that the credential was refused. */
class Refused extends Error {}

/**
 * A `fetch` that sends the credential with each request, and the request again with another version where it is refused.
 * A body that can be read only once is not sent again: the refusal is the answer.
 */
export function rotatingFetch<Fetch extends AnyFetch = typeof globalThis.fetch>(
  source: CredentialSource,
  options: FetchOptions<Fetch> = {},
): Fetch {
  const { headers = bearer, statuses = [401, 403] } = options;
  // Every fetch takes and gives the same; only their types have different names.
  const send = (options.fetch ?? globalThis.fetch) as typeof globalThis.fetch;
  const rotating: typeof globalThis.fetch = async (input, init) => {
    let refusal: Response | undefined;
    const attempt = async (credential: Credential): Promise<Response> => {
      // Frees the connection of an answer that nobody will read.
      await refusal?.body?.cancel();
      refusal = undefined;
      const merged = new Headers(init?.headers ?? (isRequest(input) ? input.headers : undefined));
      for (const [name, value] of Object.entries(headers(credential, merged))) merged.set(name, value);
      const response = await send(isRequest(input) ? input.clone() : input, { ...init, headers: merged });
      if (!statuses.includes(response.status) || readableOnce(init?.body)) return response;
      refusal = response;
      throw new Refused();
    };
    try {
      return await source.use(attempt, (error) => error instanceof Refused);
    } catch (error) {
      if (error instanceof Refused && refusal !== undefined) return refusal;
      throw error;
    }
  };
  // One function for every signature that the caller's `fetch` has: overloads can't be told of a wrapper.
  return rotating as unknown as Fetch;
}

function bearer(credential: Credential): Record<string, string> {
  return { authorization: `Bearer ${credential.reveal()}` };
}

function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && 'clone' in input;
}

function readableOnce(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

import { RekeyError } from '../domain/errors.ts';
import { parseBaseUrl, publicLookup, refusedAddress } from '../http/address.ts';
import { exchange, type HttpAnswer } from '../http/exchange.ts';
import { REKEY_VERSION } from '../version.ts';

const TIMEOUT_MS = 8_000;
const MAX_BYTES = 512 * 1024;

/** Whom to ask, and how far. */
export interface GuardedGet {
  readonly url: string;
  /** They may be secret. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Hosts that may have private addresses, as the setting `privateUpstreams` names them. */
  readonly privateHosts: readonly string[];
  /** Where the address is written. */
  readonly field: string;
}

/**
 * Asks an address of the settings: no redirect is followed and no private address reached, and nothing that is answered is
 * passed on in an error.
 * @throws RekeyError ERR_UNAVAILABLE, ERR_DECLARATION for the address
 */
export async function guardedGet({
  url,
  headers = {},
  privateHosts,
  field,
}: GuardedGet): Promise<HttpAnswer> {
  const base = parseBaseUrl(url, privateHosts, field);
  try {
    return await exchange(
      base,
      {
        path: base.pathname,
        method: 'GET',
        headers: { accept: 'application/json', 'user-agent': `rekey/${REKEY_VERSION}`, ...headers },
      },
      { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, lookup: publicLookup(privateHosts, field) },
    );
  } catch (error) {
    throw (
      refusedAddress(error) ??
      new RekeyError('ERR_UNAVAILABLE', `${base.host} has not answered`, { field, cause: error })
    );
  }
}

/** The JSON of an answer; undefined where it is none. */
export function jsonOf({ text }: HttpAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}

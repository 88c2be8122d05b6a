import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { parseBaseUrl, publicLookup, refusedAddress } from '../../http/address.ts';
import { exchange, NoAnswer, pause, type HttpAnswer } from '../../http/exchange.ts';
import { REKEY_VERSION } from '../../version.ts';
import type { Reach } from '../provider.ts';

/** Whose login a call carries: a refusal of Rekey's own stops and pages, one of the agents' is an answer. */
export type Caller = 'admin' | 'agent';

/** One call of an upstream's API. */
export interface Call<T> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Below the base address, with its query; every part of it percent-encoded. */
  readonly path: string;
  readonly body?: object;
  /** In place of a body: a form, as logins take it. */
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** The form of the answer; what isn't in it is left out. */
  readonly answer: z.ZodType<T>;
  /** Statuses beside 2xx that are an answer as well. */
  readonly accepts?: readonly number[];
  /** The form of a refusal that says that there is no room for more. */
  readonly full?: z.ZodType;
  /** The form of a refusal that says, in whatever status, that the login isn't taken. */
  readonly denied?: z.ZodType;
}

/** How an upstream is reached. */
export interface ApiOptions {
  /** What the upstream is called in messages. */
  readonly name: string;
  /** Where the rights are described that Rekey's own login needs. */
  readonly page: string;
  readonly baseUrl: string;
  readonly reach: Reach;
  readonly caller: Caller;
  /** Headers with the login. They are secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where the address is written. */
  readonly field: string;
}

/** The upstream itself refuses the login, or what it may do (403): such a login may live. */
export class LoginRefused extends RekeyError {}
/** The upstream doesn't know the login: it is dead, or never was one. */
export class LoginUnknown extends LoginRefused {}

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 4 * 1024 * 1024;
/** An upstream that asks to wait no longer is asked again at once; other waits are the workflow's. */
const LONGEST_WAIT_MS = 5_000;
const ATTEMPTS = 3;
/** Beside those of 500 and above. */
const TRY_AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * An HTTP API of an upstream. It follows no redirect and reaches no private address, and nothing that the upstream writes
 * into an error is passed on: it may quote a key.
 */
export class Api {
  readonly #options: ApiOptions;
  readonly #base: URL;
  readonly #field: string;

  /** @throws RekeyError ERR_DECLARATION for the address */
  constructor(options: ApiOptions) {
    this.#options = options;
    this.#field = options.field;
    this.#base = parseBaseUrl(options.baseUrl, options.reach.privateHosts, this.#field);
  }

  /**
   * The answer of a call.
   * @throws RekeyError ERR_UNAVAILABLE (again later), ERR_ADMIN_DENIED or ERR_REJECTED (a login is refused, a request is
   *   wrong), ERR_NOT_FOUND, ERR_CONFLICT, ERR_CAPACITY
   */
  async call<T>(call: Call<T>): Promise<T> {
    return this.#read(call, await this.#patiently(call));
  }

  #read<T>(call: Call<T>, answer: HttpAnswer): T {
    const { name } = this.#options;
    const isDone = answer.status >= 200 && answer.status <= 299;
    const isAccepted = isDone || call.accepts?.includes(answer.status) === true;
    const body = jsonOf(answer.text);
    const parsed = call.answer.safeParse(body);
    if (isAccepted && parsed.success) return parsed.data;
    // A refusal in another form than the one that is an answer is a refusal like any other; a broken one is nothing.
    if (!isAccepted || (!isDone && body !== undefined)) throw this.#refusal(call, answer);
    const at = parsed.error?.issues[0]?.path.join('.') ?? '';
    throw new RekeyError(
      'ERR_UNAVAILABLE',
      `${name} answers in another form than it documents (at "${at}")`,
      {
        remedy: 'look whether its API has changed; nothing of the answer is kept',
      },
    );
  }

  /** As `call`, and undefined where the upstream doesn't know what the call is about. */
  async find<T>(call: Call<T>): Promise<T | undefined> {
    try {
      return await this.call(call);
    } catch (error) {
      if (error instanceof RekeyError && error.code === 'ERR_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #patiently(call: Call<unknown>): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#send(call);
      // Refused for its rate, it has done nothing: every method may be repeated.
      const waitMs = answer.status === 429 ? waitOf(answer.headers) : undefined;
      if (waitMs === undefined || waitMs > LONGEST_WAIT_MS || attempt === ATTEMPTS) return answer;
      await pause(waitMs);
    }
  }

  async #send({ method, path, headers, ...content }: Call<unknown>): Promise<HttpAnswer> {
    const { name, reach } = this.#options;
    const { privateHosts } = reach;
    const { timeoutMs = TIMEOUT_MS } = reach;
    const base = this.#base;
    const { type, body } = encoded(content);
    const request = {
      method,
      path: `${base.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        accept: 'application/json',
        'user-agent': `rekey/${REKEY_VERSION}`,
        ...(body === undefined ? {} : { 'content-type': type }),
        ...this.#options.headers,
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    };
    try {
      const lookup = publicLookup(privateHosts, this.#field);
      return await exchange(base, request, { timeoutMs, maxBytes: MAX_BYTES, lookup });
    } catch (error) {
      const refused = refusedAddress(error);
      if (refused !== undefined) throw refused;
      if (!(error instanceof NoAnswer)) {
        const problem = `the login for ${name} has characters that no header takes; nothing was sent`;
        throw this.#denied(problem);
      }
      throw new RekeyError('ERR_UNAVAILABLE', `${name} has not answered`, {
        remedy: 'it is tried again; if it goes on, look at the status page of the provider',
        cause: error,
      });
    }
  }

  /** A login that isn't taken. */
  #denied(problem: string, Refusal: typeof RekeyError = RekeyError): RekeyError {
    const { page, caller } = this.#options;
    if (caller === 'agent') {
      return new Refusal('ERR_REJECTED', problem, {
        remedy: 'the key is wrong, revoked or may do nothing here',
      });
    }
    return new Refusal('ERR_ADMIN_DENIED', problem, {
      field: 'admin',
      remedy: `look whether the administrative key still works and has the rights that ${page} names`,
    });
  }

  #refusal({ method, path, full, denied }: Call<unknown>, { status, headers, text }: HttpAnswer): RekeyError {
    const { name, caller } = this.#options;
    const said = `${name} answers ${status} to ${method} ${path.split('?')[0] ?? ''}`;
    if (full?.safeParse(jsonOf(text)).success === true) {
      return new RekeyError('ERR_CAPACITY', `${said}: it has no room for more`, {
        field: 'target',
        remedy:
          'remove there what is used no more, or have the limit raised; nothing was removed to make room',
      });
    }
    if (TRY_AGAIN.has(status) || status >= 500) {
      const waitMs = waitOf(headers);
      const asked = waitMs === undefined ? '' : `, and asks to wait ${waitMs / 1000} s`;
      return new RekeyError('ERR_UNAVAILABLE', `${said}${asked}`, { remedy: 'it is tried again' });
    }
    if (status === 401 || status === 403 || denied?.safeParse(jsonOf(text)).success === true) {
      const whose = caller === 'agent' ? 'the key' : "Rekey's own login, or not for this";
      return this.#denied(`${said}: it does not take ${whose}`, status === 403 ? LoginRefused : LoginUnknown);
    }
    if (status === 404) return new RekeyError('ERR_NOT_FOUND', said, { field: 'target' });
    if (status === 409) return new RekeyError('ERR_CONFLICT', said);
    if (status >= 300 && status < 400) {
      return new RekeyError('ERR_REJECTED', `${said}, a redirect, which is not followed`, {
        field: this.#field,
        remedy: 'name the address at which the API itself answers',
      });
    }
    return new RekeyError('ERR_REJECTED', said, {
      field: 'target',
      remedy: 'hold the target against the provider: the request is refused as it is',
    });
  }
}

/** The answer of a call that says nothing that counts. */
export const ANYTHING = z.unknown();

function encoded({ body, form }: Pick<Call<unknown>, 'body' | 'form'>): { type: string; body?: string } {
  if (form !== undefined) {
    return { type: 'application/x-www-form-urlencoded', body: new URLSearchParams(form).toString() };
  }
  return { type: 'application/json', ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
}

/** How long an upstream asks to wait, in milliseconds: a number of seconds, or a date by the upstream's own clock. */
function waitOf({ 'retry-after': asked = '', date = '' }: HttpAnswer['headers']): number | undefined {
  if (/^\d{1,6}$/.test(asked)) return Number(asked) * 1000;
  const ms = Date.parse(asked) - Date.parse(date);
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}

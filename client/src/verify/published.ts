import { CredentialError, isCredentialError } from '../errors.ts';
import { millisecondsOf } from '../options.ts';
import { systemTime, within, type Time } from '../time.ts';

/** What verifiers need to read a set of Rekey's directory. */
export interface PublishedOptions {
  /** Address of the directory: the output DirectoryUrl of the deployment. */
  readonly directory: string;
  /** The set, `target.name` of the declaration. */
  readonly set: string;
  /**
   * How long what was read last is believed while the directory can't be read; 90,000, which bears a day. Then everything is refused: what
   * was revoked meanwhile must not live for ever.
   */
  readonly staleLimitSeconds?: number;
  /** Time between two reads because of something unknown, so that garbage makes no load; 5. */
  readonly missSeconds?: number;
  /** How long one read may take; 5. */
  readonly fetchTimeoutSeconds?: number;
  readonly fetch?: typeof globalThis.fetch;
  /** Clocks and timers, for tests. */
  readonly time?: Time;
}

/** What checks the identities of one set. */
export interface Verifying {
  /** The ids that it knows: of keys, of tokens. @throws CredentialError ERR_STALE */
  seen(): Promise<readonly string[]>;
  /** Forgets what was read: called where an event or a notice says that something was revoked. */
  expire(): void;
}

/** One read of a set. */
interface Read<T> {
  readonly value: T;
  readonly etag: string | undefined;
  readonly cacheMs: number;
  readonly at: number;
}

type Headers = Readonly<Record<string, string>>;

/**
 * A set of the directory as it was read last: served from memory for as long as the directory allows, read again then, and
 * at once, but not too often, where something in it is unknown.
 */
export class Published<T> {
  readonly #url: URL;
  readonly #limitMs: number;
  readonly #missMs: number;
  readonly #timeoutMs: number;
  readonly #fetch: typeof globalThis.fetch;
  readonly #time: Time;
  readonly #parse: (response: Response) => Promise<T>;
  readonly #sign: (url: URL, headers: Headers) => Promise<Headers>;
  #read: Read<T> | undefined;
  /** How often it has expired: what was asked for before doesn't count after. */
  #expired = 0;
  #missedAt: number = -Infinity;
  #failed: { readonly at: number; readonly error: CredentialError } | undefined;
  #flight: Promise<CredentialError | undefined> | undefined;

  constructor(
    path: string,
    options: PublishedOptions,
    parse: (response: Response) => Promise<T>,
    sign: (url: URL, headers: Headers) => Promise<Headers>,
  ) {
    const { directory, staleLimitSeconds = 90_000, missSeconds = 5, fetchTimeoutSeconds = 5 } = options;
    this.#url = new URL(`${directory.replace(/\/$/, '')}/${path}/${encodeURIComponent(options.set)}`);
    this.#limitMs = millisecondsOf('staleLimitSeconds', staleLimitSeconds);
    this.#missMs = millisecondsOf('missSeconds', missSeconds);
    this.#timeoutMs = millisecondsOf('fetchTimeoutSeconds', fetchTimeoutSeconds);
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#time = options.time ?? systemTime;
    this.#parse = parse;
    this.#sign = sign;
  }

  /** The wall clock, by which what was read ends. */
  now(): number {
    return this.#time.now();
  }

  /**
   * What is published. Where it can't be read again, what was read last, up to the limit.
   * @throws CredentialError ERR_STALE past that, with the failure as its cause
   */
  async current(): Promise<T> {
    const read = this.#read;
    if (read !== undefined && this.#age(read) < read.cacheMs) return read.value;
    return this.#again();
  }

  /** How long what was read last may be kept, by the directory. */
  get cacheMs(): number {
    return this.#read?.cacheMs ?? 0;
  }

  /** What is published, read again because something in it was unknown, unless it has been for that reason a moment ago. */
  async afterMiss(): Promise<T> {
    const now = this.#time.monotonic();
    if (now - this.#missedAt < this.#missMs) return this.current();
    this.#missedAt = now;
    return this.#again();
  }

  /** What was read last no longer counts: something of it was revoked. */
  expire(): void {
    this.#read = undefined;
    this.#expired++;
  }

  /** Reads again; what was read before it expired, while a read was under way, is read once more. */
  async #again(): Promise<T> {
    let failure: CredentialError | undefined;
    do failure = await this.#refreshed();
    while (failure === undefined && this.#read === undefined);
    return this.#believed(failure);
  }

  /** Reads once for all who ask, and not again so soon after a failure; the failure, where it fails. */
  async #refreshed(): Promise<CredentialError | undefined> {
    const { at = -Infinity, error } = this.#failed ?? {};
    if (this.#time.monotonic() - at < this.#missMs) return error;
    this.#flight ??= this.#load().finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  #age({ at }: Read<T>): number {
    return this.#time.monotonic() - at;
  }

  #believed(failure: CredentialError | undefined): T {
    const read = this.#read;
    if (read !== undefined && (failure === undefined || this.#age(read) < this.#limitMs)) return read.value;
    throw new CredentialError(
      'ERR_STALE',
      "the directory can't be read, and what was read before is too old",
      {
        remedy: 'nothing is accepted until it can be read again: look at the address and the network',
        ...(failure === undefined ? {} : { cause: failure }),
      },
    );
  }

  async #load(): Promise<CredentialError | undefined> {
    const known = this.#read;
    const expired = this.#expired;
    // From before the request: an answer is as old as its question.
    const at = this.#time.monotonic();
    try {
      const controller = new AbortController();
      const limit = { ms: this.#timeoutMs, controller, late: () => tooLate(this.#timeoutMs) };
      const read = await within(this.#time, limit, async (signal) => this.#ask(known, at, signal));
      if (expired === this.#expired) this.#read = read;
      this.#failed = undefined;
      return undefined;
    } catch (cause) {
      const error = isCredentialError(cause)
        ? cause
        : new CredentialError('ERR_UNAVAILABLE', "the directory can't be reached", { cause });
      this.#failed = { at: this.#time.monotonic(), error };
      return error;
    }
  }

  async #ask(known: Read<T> | undefined, at: number, signal: AbortSignal): Promise<Read<T>> {
    const conditional: Headers = known?.etag === undefined ? {} : { 'if-none-match': known.etag };
    const headers = await this.#sign(this.#url, conditional);
    const response = await this.#fetch(this.#url, { headers, signal, redirect: 'error' });
    const cacheMs = cacheMsOf(response.headers.get('cache-control'));
    if (response.status === 304 && known !== undefined) return { ...known, cacheMs, at };
    if (response.status !== 200) {
      throw new CredentialError('ERR_UNAVAILABLE', `the directory answers ${response.status}`);
    }
    const value = await this.#parse(response);
    return { value, etag: response.headers.get('etag') ?? undefined, cacheMs, at };
  }
}

/** How long an answer may be kept. */
function cacheMsOf(cacheControl: string | null): number {
  const seconds = /(?:^|[ ,])max-age=(\d{1,7})(?:$|[ ,])/.exec(cacheControl ?? '')?.[1];
  return Number(seconds ?? 0) * 1000;
}

function tooLate(ms: number): CredentialError {
  return new CredentialError('ERR_TIMEOUT', `the directory has not answered in ${ms / 1000} s`);
}

/** The answer has another form than it should. */
export function garbage(): CredentialError {
  return new CredentialError('ERR_UNAVAILABLE', "the directory's answer has another form than it should");
}

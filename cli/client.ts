import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { API_VERSION, IDEMPOTENCY_HEADER } from '../shared/api/messages.ts';
import { problem } from '../shared/api/problems.ts';
import type { AwsContext } from './aws.ts';
import { EXIT, Failure, Failures } from './failure.ts';

export interface RequestOptions {
  readonly body?: object;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Makes a POST repeatable: the API joins what the first attempt began. */
  readonly idempotencyKey?: string;
  /** Per attempt, in milliseconds. */
  readonly timeoutMs?: number;
}

const ATTEMPTS = 4;
const TIMEOUT_MS = 15_000;
/** A little above what API Gateway itself waits for a function: for what may take that long. */
export const LONG_TIMEOUT_MS = 32_000;
const RETRIED: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** Speaks to the control API: signs, times out, retries what may be repeated, and turns refusals into failures. */
export class ApiClient {
  readonly #aws: AwsContext;
  readonly #url: string;
  readonly #pause: (ms: number) => Promise<unknown>;

  constructor(aws: AwsContext, url: string, pause: (ms: number) => Promise<unknown> = (ms) => sleep(ms)) {
    this.#aws = aws;
    this.#url = url;
    this.#pause = pause;
  }

  get<S extends z.ZodType>(
    schema: S,
    path: readonly string[],
    options: RequestOptions = {},
  ): Promise<z.infer<S>> {
    return this.#request('GET', schema, path, options);
  }

  post<S extends z.ZodType>(
    schema: S,
    path: readonly string[],
    options: RequestOptions,
  ): Promise<z.infer<S>> {
    return this.#request('POST', schema, path, options);
  }

  async #request<S extends z.ZodType>(
    method: 'GET' | 'POST',
    schema: S,
    path: readonly string[],
    options: RequestOptions,
  ): Promise<z.infer<S>> {
    let mayHaveBegun = false;
    for (let attempt = 1; ; attempt++) {
      const last = attempt === ATTEMPTS;
      const sent = await this.#send(method, path, options, mayHaveBegun);
      if (sent instanceof NoAnswer) {
        mayHaveBegun ||= sent.mayHaveBegun;
        // A connection that was never made, or broke: what it may have begun is joined by the key.
        const repeatable =
          method === 'GET' || (options.idempotencyKey !== undefined && sent.code === 'ERR_CONNECTION');
        if (last || !repeatable) throw sent;
      } else if (method === 'GET' && RETRIED.has(sent.status) && !last) {
        // asked again below
      } else {
        return parse(schema, sent);
      }
      await this.#pause(100 * 2 ** attempt * (0.5 + Math.random()));
    }
  }

  /** The answer, or why there is none. */
  async #send(
    method: string,
    path: readonly string[],
    { body, query = {}, idempotencyKey, timeoutMs = TIMEOUT_MS }: RequestOptions,
    mayHaveBegun: boolean,
  ): Promise<{ status: number; text: string } | NoAnswer> {
    const target = new URL(`${this.#url}/${[API_VERSION, ...path.map(encodeURIComponent)].join('/')}`);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) target.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { url, headers } = await this.#aws.sign('execute-api', target.href, {
      method,
      headers: {
        accept: 'application/json, application/problem+json',
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === undefined ? {} : { [IDEMPOTENCY_HEADER]: idempotencyKey }),
      },
      ...(text === undefined ? {} : { body: text }),
    });
    try {
      const response = await fetch(url, {
        method,
        headers,
        ...(text === undefined ? {} : { body: text }),
        // A signed request must not follow anybody anywhere.
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const as = await this.#aws.identity();
      return noAnswer(error, {
        url: this.#url,
        timeoutMs,
        as,
        mayBegin: method !== 'GET' && !isDryRun(body),
        mayHaveBegun,
      });
    }
  }
}

/** Failures before a request has left. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CERT_.*|ERR_TLS_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/;

function isDryRun(body: object | undefined): boolean {
  return body !== undefined && 'dryRun' in body && body.dryRun === true;
}

/** Nobody answered; `mayHaveBegun` where what was asked for may have reached the API, in this attempt or before. */
class NoAnswer extends Failure {
  readonly mayHaveBegun: boolean;

  constructor(
    code: string,
    message: string,
    details: { remedy: string; cause: unknown; mayHaveBegun: boolean },
  ) {
    const warning = '; what you asked for may have begun: look with `rekey show` before you repeat it';
    super(code, details.mayHaveBegun ? message + warning : message, { ...details, exit: EXIT.unreachable });
    this.mayHaveBegun = details.mayHaveBegun;
  }
}

function noAnswer(
  error: unknown,
  request: { url: string; timeoutMs: number; as: string; mayBegin: boolean; mayHaveBegun: boolean },
): NoAnswer {
  const { url, timeoutMs, as, mayBegin, mayHaveBegun } = request;
  const remedy =
    `it was called as ${as}. Check the network (VPN, proxy), that the deployment is up, and the address: ` +
    '--api-url or REKEY_API_URL, else --stage, --region and --profile find it';
  if (error instanceof Error && error.name === 'TimeoutError') {
    const message = `the control API at ${url} did not answer within ${timeoutMs / 1000} s`;
    return new NoAnswer('ERR_TIMEOUT', message, {
      remedy,
      cause: error,
      mayHaveBegun: mayHaveBegun || mayBegin,
    });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const detail = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : 'unknown';
  const unsent = NEVER_SENT.test(detail);
  const message = `the control API at ${url} can't be reached (${detail})`;
  return new NoAnswer('ERR_CONNECTION', unsent && !mayHaveBegun ? `${message}; nothing was sent` : message, {
    remedy,
    cause: error,
    mayHaveBegun: mayHaveBegun || (mayBegin && !unsent),
  });
}

function parse<S extends z.ZodType>(
  schema: S,
  { status, text }: { status: number; text: string },
): z.infer<S> {
  const body = jsonOf(text);
  if (status >= 200 && status < 300) {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new Failure('ERR_PROTOCOL', 'the answer has a form that this rekey does not know', {
      remedy: 'use the version of rekey that your deployment has',
      cause: parsed.error,
    });
  }
  const told = problem.safeParse(body);
  if (told.success) {
    const { code, detail, field, remedy, also = [] } = told.data;
    const first = new Failure(code, detail, { field, remedy });
    if (also.length === 0) throw first;
    const others = also.map((each) => new Failure(each.code, each.message, each));
    throw new Failures([first, ...others], `${others.length + 1} errors`);
  }
  const message = plainMessage(body);
  if (status === 401 || status === 403) {
    throw new Failure('ERR_FORBIDDEN', `the API refused the caller${message}`, {
      remedy: 'check the profile; its role needs execute-api:Invoke on this route',
    });
  }
  if (status === 404) {
    throw new Failure('ERR_UNAVAILABLE', `the API answered 404${message}`, {
      exit: EXIT.unreachable,
      remedy:
        'check the address: --api-url or REKEY_API_URL, else --stage, --region and --profile; where it is right, the ' +
        'deployment is of a version before this one',
    });
  }
  throw new Failure('ERR_UNAVAILABLE', `the API answered ${status}${message}`, {
    exit: EXIT.unreachable,
    remedy: 'try again; if it goes on, look at the log of control-api, and check --api-url',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** API Gateway's own refusals: `{"message": "Forbidden"}`. */
function plainMessage(body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  const message = 'message' in body ? body.message : 'Message' in body ? body.Message : undefined;
  return typeof message === 'string' ? `: ${message}` : '';
}

import { CredentialError, isCredentialError } from '../errors.ts';
import { within, type Time } from '../time.ts';
import { ServerClock } from './server-clock.ts';

/** A request that is to be signed. */
export interface AgentRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where there is none. */
  readonly body: string;
}

/** Gives the headers of the request with those of its signature; `sigV4` of `@rekey/client/sigv4` makes one. */
export type SignRequest = (request: AgentRequest) => Promise<Readonly<Record<string, string>>>;

/** What the agent API answered when it didn't do what was asked. */
export class AgentApiError extends CredentialError {
  readonly status: number;
  /** The API's own code, e.g. ERR_ROTATION_UNDER_WAY. */
  readonly problem: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, problem: Problem, retryAfter: string | null) {
    super(codeOf(status), `the agent API answers ${status}: ${problem.detail ?? 'nothing else'}`, {
      ...(problem.field === undefined ? {} : { field: problem.field }),
      ...(problem.remedy === undefined ? {} : { remedy: problem.remedy }),
    });
    this.status = status;
    this.problem = problem.code ?? '';
    const seconds = Number(retryAfter ?? NaN);
    this.retryAfterSeconds = seconds > 0 ? seconds : undefined;
  }
}

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly field?: string;
  readonly remedy?: string;
}

/** An answer that was given; `body` is undefined where nothing has changed. */
export interface Answer {
  readonly body: unknown;
  readonly etag: string | undefined;
}

/** How the agent API is called. */
export interface ApiOptions {
  readonly api: string;
  readonly agent: string;
  readonly sign: SignRequest;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  readonly time: Time;
}

/** Calls the agent API, each call for a limited time. Nothing is repeated here: who calls knows what is worth it. */
export class AgentApi {
  readonly clock: ServerClock;
  readonly #options: ApiOptions;
  readonly #calls: Set<AbortController> = new Set();

  constructor(options: ApiOptions) {
    this.#options = options;
    this.clock = new ServerClock(options.time);
  }

  /** Name of the agent. */
  get agent(): string {
    return this.#options.agent;
  }

  /** Where the agent is spoken for. */
  get agentUrl(): string {
    const { api, agent } = this.#options;
    return `${api.replace(/\/$/, '')}/agents/${encodeURIComponent(agent)}`;
  }

  /**
   * @param path below the agent's own address, or with a slash before it below that of the API
   * @throws CredentialError: an AgentApiError where the API has refused
   */
  async call(method: AgentRequest['method'], path: string, body?: object, etag?: string): Promise<Answer> {
    const { time, timeoutMs: ms } = this.#options;
    const controller = new AbortController();
    this.#calls.add(controller);
    try {
      return await within(time, { ms, controller, late: () => late(ms) }, async (signal) =>
        this.#send(method, path, { body, etag, signal }),
      );
    } catch (error) {
      if (isCredentialError(error)) throw error;
      throw new CredentialError('ERR_UNAVAILABLE', "the agent API can't be reached", { cause: error });
    } finally {
      this.#calls.delete(controller);
    }
  }

  /** Gives up what is under way. */
  abort(reason: Error): void {
    for (const controller of this.#calls) controller.abort(reason);
  }

  async #send(
    method: AgentRequest['method'],
    path: string,
    { body, etag, signal }: { body: object | undefined; etag: string | undefined; signal: AbortSignal },
  ): Promise<Answer> {
    const { sign, fetch } = this.#options;
    const url = new URL(
      path.startsWith('/') ? this.#options.api.replace(/\/$/, '') + path : `${this.agentUrl}/${path}`,
    );
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
    };
    const signed = await sign({ method, url, headers, body: text });
    // A call that was given up while it was being signed is not sent.
    signal.throwIfAborted();
    const response = await fetch(url, {
      method,
      headers: signed,
      signal,
      redirect: 'error',
      ...(body === undefined ? {} : { body: text }),
    });
    this.clock.hear(response.headers.get('date'));
    if (response.status === 304) return { body: undefined, etag };
    const answered = parsed(await response.text());
    if (!response.ok) {
      throw new AgentApiError(response.status, answered ?? {}, response.headers.get('retry-after'));
    }
    if (answered === undefined) throw garbage();
    return { body: answered, etag: response.headers.get('etag') ?? undefined };
  }
}

/** What a refusal is to be answered by. */
export interface Meaning {
  /** Another try is pointless: the options or the declaration are wrong. */
  readonly isPointless: boolean;
  /** What was signed is not of the server's time, which its answer has told. */
  readonly isOutOfTime: boolean;
  /** The session is closed, or nobody knows it any more. */
  readonly isLost: boolean;
  /** The agent has no pact. */
  readonly isUnregistered: boolean;
  /** A rotation uses the gap between two sessions: the time until the next try. */
  readonly gapMs: number | undefined;
}

/** What a failed call says of the session, and of whether to try again. */
export function meaningOf(error: unknown): Meaning {
  const isRefusal = isCredentialError(error, 'ERR_REFUSED', 'ERR_DENIED', 'ERR_NOT_FOUND');
  const { problem = '', field, status, retryAfterSeconds } = error instanceof AgentApiError ? error : {};
  const isGap = problem === 'ERR_ROTATION_UNDER_WAY';
  return {
    isPointless: isRefusal && !isGap && !['ERR_CAPACITY', 'ERR_CONFLICT'].includes(problem),
    isOutOfTime: problem === 'ERR_CONFLICT' && field === 'payload.at',
    isLost: status === 404 && field === 'session',
    isUnregistered: status === 404 && field === 'agent',
    gapMs: isGap ? Math.min(30, Math.max(1, retryAfterSeconds ?? 5)) * 1000 : undefined,
  };
}

/** @throws CredentialError ERR_UNAVAILABLE where `value` is undefined: the answer has another form */
export function understood<T>(value: T | undefined): T {
  if (value === undefined) throw garbage();
  return value;
}

/** A text of an answer. @throws CredentialError ERR_UNAVAILABLE */
export function textIn(body: unknown, name: string): string {
  const value = (body as Readonly<Record<string, unknown>> | undefined)?.[name];
  return understood(typeof value === 'string' && value !== '' ? value : undefined);
}

function codeOf(status: number): 'ERR_UNAVAILABLE' | 'ERR_DENIED' | 'ERR_NOT_FOUND' | 'ERR_REFUSED' {
  if (status === 429 || status >= 500 || status < 400) return 'ERR_UNAVAILABLE';
  if (status === 401 || status === 403) return 'ERR_DENIED';
  return status === 404 ? 'ERR_NOT_FOUND' : 'ERR_REFUSED';
}

function garbage(): CredentialError {
  return new CredentialError('ERR_UNAVAILABLE', "the agent API's answer has another form than it should");
}

function late(ms: number): CredentialError {
  return new CredentialError('ERR_TIMEOUT', `the agent API has not answered in ${ms / 1000} s`);
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

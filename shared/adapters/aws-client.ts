import { AwsClient } from 'aws4fetch';
import { RekeyError } from '../domain/errors.ts';
import { REKEY_VERSION } from '../version.ts';

/** An error that an AWS service answered, by its own name, e.g. `ResourceNotFoundException`. */
export class AwsServiceError extends Error {
  readonly status: number;
  /** Reasons of a cancelled transaction, in the order of its items. */
  readonly cancellationReasons: readonly string[];

  constructor(name: string, message: string, status: number, cancellationReasons: readonly string[] = []) {
    super(message);
    this.name = name;
    this.status = status;
    this.cancellationReasons = cancellationReasons;
  }
}

/** Whether `error` is what an AWS service answers under one of `names`. */
export function isAwsError(error: unknown, ...names: string[]): error is AwsServiceError {
  return error instanceof AwsServiceError && names.includes(error.name);
}

/** How to reach AWS from a function. */
export interface AwsClientOptions {
  readonly region: string;
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** Overrides every service's address, as AWS_ENDPOINT_URL does for the SDKs. */
  readonly endpoint?: string;
  /** Function that calls, for the user agent. */
  readonly caller: string;
  /** Per attempt, in milliseconds. */
  readonly timeoutMs?: number;
  readonly attempts?: number;
}

export interface CallOptions {
  /** Per attempt, in milliseconds. */
  readonly timeoutMs?: number;
  readonly attempts?: number;
}

/** Services of the AWS JSON protocols: signing name and the prefix of `X-Amz-Target`. */
const JSON_SERVICES = {
  dynamodb: { target: 'DynamoDB_20120810', version: '1.0' },
  secretsmanager: { target: 'secretsmanager', version: '1.1' },
  states: { target: 'AWSStepFunctions', version: '1.0' },
  events: { target: 'AWSEvents', version: '1.1' },
} as const;
export type JsonService = keyof typeof JSON_SERVICES;

const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'ProvisionedThroughputExceededException',
  'InternalServiceError',
  'InternalServerError',
  'InternalFailure',
  'ServiceUnavailable',
  'SlowDown',
]);

/**
 * Calls AWS with hand-signed requests. It replaces the SDK in the functions: a rotator's bundle shrinks to a third and
 * the emergency's first call comes several times sooner (docs/adr/003). Every call here is idempotent by a token or a
 * condition, so that every failed attempt may be repeated.
 */
export class AwsCalls {
  readonly #signer: AwsClient;
  readonly #options: AwsClientOptions;

  constructor(options: AwsClientOptions) {
    this.#options = options;
    this.#signer = new AwsClient({ ...options.credentials, region: options.region, retries: 0 });
  }

  /**
   * An operation of a service of the AWS JSON protocol.
   * @throws AwsServiceError as the service answered; RekeyError ERR_UNAVAILABLE once every attempt has failed.
   */
  async json<Output>(
    service: JsonService,
    operation: string,
    input: object,
    options: CallOptions = {},
  ): Promise<Output> {
    const { target, version } = JSON_SERVICES[service];
    const response = await this.request(
      service,
      {
        path: '/',
        method: 'POST',
        headers: {
          'content-type': `application/x-amz-json-${version}`,
          'x-amz-target': `${target}.${operation}`,
        },
        body: JSON.stringify(input),
      },
      options,
    );
    return (response.text === '' ? {} : JSON.parse(response.text)) as Output;
  }

  /** A signed request with retries. Answers of 4xx other than throttling throw at once. */
  async request(
    service: string,
    request: { path: string; method: string; headers?: Record<string, string>; body?: string },
    options: CallOptions = {},
  ): Promise<{ status: number; headers: Headers; text: string }> {
    const attempts = options.attempts ?? this.#options.attempts ?? 4;
    let last: unknown;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        return await this.#attempt(service, request, options);
      } catch (error) {
        if (!isTransient(error)) throw error;
        last = error;
        if (attempt < attempts) await pause(Math.random() * 50 * 2 ** attempt);
      }
    }
    throw new RekeyError('ERR_UNAVAILABLE', `${service} did not answer in ${attempts} attempts`, {
      remedy: 'try again; if it goes on, look at the service health and at this function’s network',
      cause: last,
    });
  }

  async #attempt(
    service: string,
    request: { path: string; method: string; headers?: Record<string, string>; body?: string },
    options: CallOptions,
  ): Promise<{ status: number; headers: Headers; text: string }> {
    const signed = await this.#signer.sign(`${this.#base(service)}${request.path}`, {
      method: request.method,
      headers: { ...request.headers, 'user-agent': `rekey/${REKEY_VERSION} fn/${this.#options.caller}` },
      ...(request.body === undefined ? {} : { body: request.body }),
      aws: { service },
    });
    const response = await fetch(signed, {
      signal: AbortSignal.timeout(options.timeoutMs ?? this.#options.timeoutMs ?? 5000),
    });
    const text = await response.text();
    if (response.ok) return { status: response.status, headers: response.headers, text };
    throw serviceError(response.status, response.headers, text);
  }

  #base(service: string): string {
    if (this.#options.endpoint !== undefined) return this.#options.endpoint.replace(/\/$/, '');
    const { region } = this.#options;
    const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
    return `https://${service}.${region}.${suffix}`;
  }
}

/** Settings from the environment that Lambda gives a function. */
export function awsCallsFromEnvironment(env: NodeJS.ProcessEnv, options: CallOptions = {}): AwsCalls {
  return new AwsCalls({
    region: env['AWS_REGION'] ?? '',
    credentials: {
      accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
      ...(env['AWS_SESSION_TOKEN'] ? { sessionToken: env['AWS_SESSION_TOKEN'] } : {}),
    },
    ...(env['AWS_ENDPOINT_URL'] ? { endpoint: env['AWS_ENDPOINT_URL'] } : {}),
    caller: env['REKEY_FUNCTION'] ?? env['AWS_LAMBDA_FUNCTION_NAME'] ?? 'unknown',
    ...options,
  });
}

function isTransient(error: unknown): boolean {
  if (error instanceof AwsServiceError) return error.status >= 500 || THROTTLED.has(error.name);
  // fetch: TypeError for a broken connection, TimeoutError from the signal.
  return error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError');
}

function serviceError(status: number, headers: Headers, text: string): AwsServiceError {
  const fallback =
    headers.get('x-amzn-errortype') ?? /<Code>([^<]+)<\/Code>/.exec(text)?.[1] ?? `Http${status}`;
  let body: {
    __type?: string;
    message?: string;
    Message?: string;
    CancellationReasons?: { Code?: string }[];
  } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // S3 answers XML; its code was taken above.
  }
  const name = (body.__type ?? fallback).split('#').at(-1)?.split(':')[0] ?? fallback;
  const message = body.message ?? body.Message ?? name;
  return new AwsServiceError(
    name,
    message,
    status,
    (body.CancellationReasons ?? []).map((reason) => reason.Code ?? 'None'),
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

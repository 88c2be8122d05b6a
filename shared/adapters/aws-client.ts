import { toInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import {
  AwsServiceError,
  isAwsError,
  type AwsCredentials,
  type AwsReach,
  type CallOptions,
} from '../http/aws.ts';
import { exchange, NoAnswer, pause, type HttpAnswer, type HttpRequest } from '../http/exchange.ts';
import { REKEY_VERSION } from '../version.ts';
import { sign } from './signature.ts';

export { AwsServiceError, isAwsError };

/** The wire has seconds since 1970 where the SDK's type has a Date. */
export function instantOfWire(value: unknown): Instant | undefined {
  return typeof value === 'number' ? toInstant(value * 1000) : undefined;
}

/** How to reach AWS from a function. */
export interface AwsClientOptions {
  readonly region: string;
  readonly credentials: AwsCredentials;
  /** Overrides every service's address, as AWS_ENDPOINT_URL does for the SDKs. */
  readonly endpoint?: string;
  /** Addresses of single services, by their signing name; they go before `endpoint`. */
  readonly endpoints?: Readonly<Record<string, string | undefined>>;
  /** Function that calls, for the user agent. */
  readonly caller: string;
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
  kms: { target: 'TrentService', version: '1.1' },
  ecs: { target: 'AmazonEC2ContainerServiceV20141113', version: '1.1' },
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
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'PriorRequestNotComplete',
  'TransactionInProgressException',
]);

/** Refusals that pass in one service and are a quota of another. */
const PASSING_IN = new Map([
  ['dynamodb', new Set(['LimitExceededException'])],
  ['iam', new Set(['ConcurrentModification', 'EntityTemporarilyUnmodifiable'])],
]);

/**
 * Calls AWS with hand-signed requests over Node's own HTTP client. It replaces the SDK in the functions: a rotator's
 * bundle shrinks to a third and the emergency's first call comes several times sooner (docs/adr/003). Calls are
 * idempotent by a token or a condition, so that every failed attempt may be repeated; one that isn't says "attempts: 1".
 */
export class AwsCalls implements AwsReach {
  readonly #options: AwsClientOptions;

  constructor(options: AwsClientOptions) {
    this.#options = options;
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
  async request(service: string, request: HttpRequest, options: CallOptions = {}): Promise<HttpAnswer> {
    const attempts = options.attempts ?? this.#options.attempts ?? 4;
    let last: unknown;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        return await this.#attempt(service, request, options);
      } catch (error) {
        if (!isTransient(service, error)) throw error;
        last = error;
        if (attempt < attempts) await pause(Math.random() * 50 * 2 ** attempt);
      }
    }
    throw new RekeyError('ERR_UNAVAILABLE', `${service} did not answer in ${attempts} attempts`, {
      remedy: 'try again; if it goes on, look at the service health and at this function’s network',
      cause: last,
    });
  }

  async #attempt(service: string, request: HttpRequest, options: CallOptions): Promise<HttpAnswer> {
    const { method, path, body = '' } = request;
    const { caller } = this.#options;
    const { credentials = this.#options.credentials } = options;
    const { base, region } = this.#place(service);
    const headers = sign(
      {
        method,
        host: base.host,
        path,
        headers: { ...request.headers, 'user-agent': `rekey/${REKEY_VERSION} fn/${caller}` },
        body,
      },
      { service, region, credentials, time: new Date() },
    );
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? 5000;
    const answer = await exchange(base, { method, path, headers, body }, { timeoutMs });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw serviceError(answer);
  }

  /** Where a service answers, and the region that its requests are signed for. */
  #place(service: string): { base: URL; region: string } {
    const { endpoint, endpoints } = this.#options;
    const given = endpoints?.[service] ?? endpoint;
    const { region, host } = placeOf(service, this.#options.region);
    return { base: new URL(given?.replace(/\/$/, '') ?? `https://${host}`), region };
  }
}

/**
 * Where a service answers to a function in `region`, and the region that its requests are signed for. IAM is one for all
 * regions of a partition (https://docs.aws.amazon.com/general/latest/gr/iam-service.html).
 */
export function placeOf(service: string, region: string): { host: string; region: string } {
  const isChina = region.startsWith('cn-');
  if (service === 'iam') {
    if (isChina) return { host: 'iam.cn-north-1.amazonaws.com.cn', region: 'cn-north-1' };
    if (region.startsWith('us-gov-')) return { host: 'iam.us-gov.amazonaws.com', region: 'us-gov-west-1' };
    return { host: 'iam.amazonaws.com', region: 'us-east-1' };
  }
  return { host: `${service}.${region}.${isChina ? 'amazonaws.com.cn' : 'amazonaws.com'}`, region };
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
    // As the SDKs name them (https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html).
    endpoints: {
      secretsmanager: env['AWS_ENDPOINT_URL_SECRETS_MANAGER'],
      states: env['AWS_ENDPOINT_URL_SFN'],
      kms: env['AWS_ENDPOINT_URL_KMS'],
      iam: env['AWS_ENDPOINT_URL_IAM'],
      sts: env['AWS_ENDPOINT_URL_STS'],
    },
    caller: env['REKEY_FUNCTION'] ?? env['AWS_LAMBDA_FUNCTION_NAME'] ?? 'unknown',
    ...options,
  });
}

function isTransient(service: string, error: unknown): boolean {
  if (error instanceof AwsServiceError) {
    const passing = THROTTLED.has(error.name) || PASSING_IN.get(service)?.has(error.name) === true;
    return passing || error.status >= 500 || isThrottledTransaction(error);
  }
  return error instanceof NoAnswer;
}

/** Why DynamoDB cancels a transaction for which it has no room, whoever else wrote or didn't. */
const NO_ROOM = new Set(['ThrottlingError', 'ProvisionedThroughputExceeded']);

/** One of its conditions has failed as well: then another attempt fails too. */
function isThrottledTransaction({ name, cancellationReasons: reasons }: AwsServiceError): boolean {
  return (
    name === 'TransactionCanceledException' &&
    reasons.some((reason) => NO_ROOM.has(reason)) &&
    reasons.every((reason) => NO_ROOM.has(reason) || reason === 'None')
  );
}

function serviceError({ status, headers, text }: HttpAnswer): AwsServiceError {
  const header = headers['x-amzn-errortype'];
  const fallback =
    (Array.isArray(header) ? header[0] : header) ??
    /<Code>([^<]+)<\/Code>/.exec(text)?.[1] ??
    `Http${status}`;
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

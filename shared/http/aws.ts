import type { HttpAnswer, HttpRequest } from './exchange.ts';

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

/** What signs a request. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Bounds of a call of AWS, and whose it is. */
export interface CallOptions {
  /** Per attempt, in milliseconds. */
  readonly timeoutMs?: number;
  /** One, where a call must not be repeated unseen. */
  readonly attempts?: number;
  /** Whose call it is; the function's own role where nothing is said. */
  readonly credentials?: AwsCredentials;
}

/** A way to call AWS, under the function's own role or with credentials that are given. */
export interface AwsReach {
  /**
   * A signed request to a service, by its signing name. Answers of 4xx other than throttling throw at once.
   * @throws AwsServiceError as the service answered; RekeyError ERR_UNAVAILABLE once every attempt has failed.
   */
  request(service: string, request: HttpRequest, options?: CallOptions): Promise<HttpAnswer>;
}

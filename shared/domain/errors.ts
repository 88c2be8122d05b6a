/**
 * Every error that Rekey raises on purpose carries a stable code, so that callers branch on the code and
 * never on a message. `field` names the input at fault and `remedy` what to do about it.
 */
export type ErrorCode =
  // Upstream, worth another try (design: provider contract).
  | 'ERR_UNAVAILABLE'
  | 'ERR_NOT_PROPAGATED'
  // Upstream, final: stop and page.
  | 'ERR_REJECTED'
  | 'ERR_CAPACITY'
  | 'ERR_ADMIN_DENIED'
  // A person has to consent (again) before the server gives a token.
  | 'ERR_CONSENT'
  // Upstream, until a person has ended something there by hand.
  | 'ERR_AWAITING_OPERATOR'
  // It came to life while it was revoked, and has to be revoked again.
  | 'ERR_ESCAPED'
  // Input.
  | 'ERR_DECLARATION'
  | 'ERR_POLICY'
  | 'ERR_WINDOW_TOO_SHORT'
  | 'ERR_PACT'
  | 'ERR_NOT_FOUND'
  | 'ERR_SECRET_EXISTS'
  | 'ERR_ADOPTION'
  | 'ERR_REQUEST'
  | 'ERR_FORBIDDEN'
  // Agents.
  | 'ERR_CHALLENGE'
  | 'ERR_PROOF'
  // State.
  | 'ERR_CONFLICT'
  | 'ERR_ROTATION_UNDER_WAY'
  | 'ERR_WINDOW_OPEN'
  | 'ERR_TOMBSTONED'
  | 'ERR_PREEMPTED'
  | 'ERR_POINT_OF_NO_RETURN'
  | 'ERR_MODE'
  | 'ERR_PAUSED'
  | 'ERR_PROTOCOL'
  | 'ERR_MATERIAL_MISMATCH'
  | 'ERR_TAMPERED'
  | 'ERR_TIMEOUT';

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'ERR_UNAVAILABLE',
  'ERR_NOT_PROPAGATED',
  'ERR_CONFLICT',
  'ERR_TIMEOUT',
]);

export interface ErrorDetails {
  /** Path of the input at fault, e.g. `credentials[0].policy.window`. */
  readonly field?: string;
  /** What the reader can do about it. */
  readonly remedy?: string;
  readonly cause?: unknown;
  /** Further mistakes of the same input. */
  readonly also?: readonly RekeyError[];
}

/** An error in plain form. */
export interface ErrorJson {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: string;
  readonly also?: readonly ErrorJson[];
}

/** The one error class. Messages never contain secret material. */
export class RekeyError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly also: readonly RekeyError[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    // The code is the name: Step Functions and log queries see it without parsing a message.
    this.name = code;
    this.code = code;
    this.field = details.field;
    this.remedy = details.remedy;
    this.also = details.also ?? [];
  }

  /** True where the same call may succeed later without anybody's help. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }

  /** Plain form for logs, API answers and audit records. The cause stays out: upstream text may quote input. */
  toJSON(): ErrorJson {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
      ...(this.also.length === 0 ? {} : { also: this.also.map((error) => error.toJSON()) }),
    };
  }
}

/** Whether `error` is a RekeyError with one of `codes` (any code where none is given). */
export function isRekeyError(error: unknown, ...codes: ErrorCode[]): error is RekeyError {
  return error instanceof RekeyError && (codes.length === 0 || codes.includes(error.code));
}

/** The errors of all of `checks`, one for each mistake. What isn't a RekeyError is thrown. */
export function errorsOf(...checks: readonly (() => unknown)[]): RekeyError[] {
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!isRekeyError(error)) throw error;
      return [withAlso(error, []), ...error.also];
    }
  });
}

/** Throws all that was found as one error, the first, which carries the others; nothing where nothing was found. */
export function throwAll(found: readonly RekeyError[]): void {
  const [first, ...also] = found;
  if (first !== undefined) throw withAlso(first, also);
}

function withAlso(error: RekeyError, also: readonly RekeyError[]): RekeyError {
  const { code, message, field, remedy, cause } = error;
  return new RekeyError(code, message, {
    ...(field === undefined ? {} : { field }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause === undefined ? {} : { cause }),
    also,
  });
}

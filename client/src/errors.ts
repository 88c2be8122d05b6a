/** Every error that the client raises on purpose carries one of these codes: callers branch on it, never on a message. */
export type CredentialErrorCode =
  /** An option is wrong; `field` names it. */
  | 'ERR_OPTIONS'
  /** The vault has no such secret, or no value under the label. */
  | 'ERR_NOT_FOUND'
  /** The vault refuses the caller. */
  | 'ERR_DENIED'
  /** The vault can't be reached, fails or throttles. */
  | 'ERR_UNAVAILABLE'
  /** Something has taken longer than its limit. */
  | 'ERR_TIMEOUT'
  /** The value isn't what was asked for. */
  | 'ERR_VALUE'
  /** The version was given up: it is never served. */
  | 'ERR_TOMBSTONED'
  /** The last value is older than the pact allows, or has expired. */
  | 'ERR_STALE'
  /** A person has to consent before there is a token. */
  | 'ERR_CONSENT'
  /** The agent API refuses what was asked: another try is pointless. */
  | 'ERR_REFUSED'
  /** The agent was told to stop. */
  | 'ERR_HALTED'
  /** The source is closed. */
  | 'ERR_CLOSED';

/** What else an error says. */
export interface CredentialErrorDetails {
  /** The option or field at fault. */
  readonly field?: string;
  /** What the reader can do about it. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** The client's one error class. Messages never contain secret material. */
export class CredentialError extends Error {
  readonly code: CredentialErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: CredentialErrorCode, message: string, details: CredentialErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code;
    this.code = code;
    this.field = details.field;
    this.remedy = details.remedy;
  }

  /** Plain form for logs. The cause stays out: text of others may quote input. */
  toJSON(): { code: CredentialErrorCode; message: string; field?: string; remedy?: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
    };
  }
}

/** Whether `error` is a CredentialError with one of `codes` (any code where none is given). */
export function isCredentialError(
  error: unknown,
  ...codes: readonly CredentialErrorCode[]
): error is CredentialError {
  return error instanceof CredentialError && (codes.length === 0 || codes.includes(error.code));
}

/** What a vault threw, as an error of the client. */
export function asCredentialError(error: unknown): CredentialError {
  return isCredentialError(error)
    ? error
    : new CredentialError('ERR_UNAVAILABLE', "the vault doesn't answer as it should", { cause: error });
}

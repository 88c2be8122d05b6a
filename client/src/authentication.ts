/** Decides whether an error says that the upstream doesn't take the credential. */
export type FailureTest = (error: unknown) => boolean;

const CODES: ReadonlySet<unknown> = new Set([
  // PostgreSQL: wrong password; a login that isn't allowed (any more).
  '28P01',
  '28000',
  // MySQL and MariaDB.
  'ER_ACCESS_DENIED_ERROR',
]);

/**
 * Whether `error` is a refusal of the credential by PostgreSQL (`pg`), MySQL or MariaDB (`mysql2`), or an HTTP 401 that
 * an SDK has turned into an error. The default of `use`.
 */
export function isAuthenticationFailure(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, status, statusCode } = error as { code?: unknown; status?: unknown; statusCode?: unknown };
  return CODES.has(code) || status === 401 || statusCode === 401;
}

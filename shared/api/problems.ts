import * as z from 'zod';
import { isRekeyError, RekeyError, type ErrorCode, type ErrorJson } from '../domain/errors.ts';

/** Media type of a refusal (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/** What a caller is told about an error that Rekey didn't raise on purpose. */
export const INTERNAL_CODE = 'ERR_INTERNAL';

/**
 * HTTP status and title of every error code. Only 503 and 504 invite the same request again; a `Record` makes the
 * compiler ask for a new code's row.
 */
const PROBLEMS: Readonly<Record<ErrorCode | typeof INTERNAL_CODE, { status: number; title: string }>> = {
  ERR_UNAVAILABLE: { status: 503, title: 'Something that Rekey needs does not answer' },
  ERR_NOT_PROPAGATED: { status: 503, title: 'A change has not reached every place yet' },
  ERR_TIMEOUT: { status: 504, title: 'It took too long' },
  ERR_REJECTED: { status: 422, title: 'The upstream refused' },
  ERR_CAPACITY: { status: 422, title: 'There is no room for another one' },
  ERR_ADMIN_DENIED: { status: 422, title: 'The administrative login was refused' },
  ERR_CONSENT: { status: 409, title: 'A person has to consent at the authorization server' },
  ERR_ESCAPED: { status: 409, title: 'It came to life while it was revoked' },
  ERR_AWAITING_OPERATOR: { status: 409, title: 'A person has to end it at the upstream first' },
  ERR_DECLARATION: { status: 422, title: 'The declaration is not valid' },
  ERR_POLICY: { status: 422, title: 'The policy is not allowed' },
  ERR_WINDOW_TOO_SHORT: { status: 422, title: 'The window is too short' },
  ERR_PACT: { status: 422, title: 'The pact is refused' },
  ERR_ADOPTION: { status: 422, title: 'What exists cannot be taken over as it is' },
  ERR_REQUEST: { status: 400, title: 'The request is not valid' },
  ERR_FORBIDDEN: { status: 403, title: 'Not allowed' },
  ERR_CHALLENGE: { status: 409, title: 'The challenge is not good' },
  ERR_PROOF: { status: 403, title: 'The proof does not hold' },
  ERR_NOT_FOUND: { status: 404, title: 'Not found' },
  ERR_SECRET_EXISTS: { status: 409, title: 'The secret exists already' },
  ERR_CONFLICT: { status: 409, title: 'Something else changed it first' },
  ERR_ROTATION_UNDER_WAY: { status: 409, title: 'Another rotation is under way' },
  ERR_WINDOW_OPEN: { status: 409, title: 'A window is open' },
  ERR_TOMBSTONED: { status: 409, title: 'This rotation has been given up' },
  ERR_PREEMPTED: { status: 409, title: 'An emergency has taken over' },
  ERR_POINT_OF_NO_RETURN: { status: 409, title: 'Too late to go back' },
  ERR_MODE: { status: 409, title: 'The mode of the credential does not allow it' },
  ERR_PAUSED: { status: 409, title: 'The credential is paused' },
  ERR_PROTOCOL: { status: 500, title: 'Rekey was called out of order' },
  ERR_MATERIAL_MISMATCH: { status: 500, title: 'The secret does not hold what it should' },
  ERR_TAMPERED: { status: 500, title: 'Something was changed behind the back of Rekey' },
  ERR_INTERNAL: { status: 500, title: 'Something went wrong inside Rekey' },
};

/** A refusal as RFC 9457 writes it. `code` is stable; branch on it and on nothing else. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  field: z.string().optional(),
  remedy: z.string().optional(),
  /** Further mistakes of the same request. */
  also: z
    .array(
      z.object({
        code: z.string(),
        message: z.string(),
        field: z.string().optional(),
        remedy: z.string().optional(),
      }),
    )
    .optional(),
});
export type Problem = z.infer<typeof problem>;

/** A refusal as another function has written it, perhaps of a newer version with codes of its own. */
export function errorOf({ code, message, also = [], ...details }: ErrorJson): RekeyError {
  return new RekeyError(isErrorCode(code) ? code : 'ERR_UNAVAILABLE', message, {
    ...details,
    also: also.map(errorOf),
  });
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(PROBLEMS, text) && text !== INTERNAL_CODE;
}

/**
 * The problem document of an error. What isn't a RekeyError says nothing of itself: its text may quote anything.
 * `status` overrides the code's own, for refusals that HTTP has a number for (405, 413).
 */
export function problemOf(error: unknown, status?: number): Problem {
  const known = isRekeyError(error) ? error.toJSON() : internalError();
  const { status: usual, title } = PROBLEMS[known.code];
  return {
    type: `urn:rekey:error:${known.code}`,
    title,
    status: status ?? usual,
    detail: known.message,
    code: known.code,
    ...(known.field === undefined ? {} : { field: known.field }),
    ...(known.remedy === undefined ? {} : { remedy: known.remedy }),
    ...(known.also === undefined ? {} : { also: known.also.map((each) => ({ ...each })) }),
  };
}

function internalError(): Omit<ErrorJson, 'code'> & { code: typeof INTERNAL_CODE } {
  return {
    code: INTERNAL_CODE,
    message: "the request failed for a reason that is in the log of the API's function",
    remedy: 'look for this request in the log; `rekey show` tells whether anything was begun',
  };
}

/** A zod error of a request as ERR_REQUEST naming the field. */
export function requestError(
  error: z.ZodError,
  form = 'docs/api.md has the form of every request',
): RekeyError {
  const [issue] = error.issues;
  const path = (issue?.path ?? []).reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : '';
  const field = [path, unknown].filter((part) => part !== '').join('.');
  return new RekeyError(
    'ERR_REQUEST',
    `${field === '' ? 'the request' : field}: ${issue?.message ?? 'invalid'}`,
    {
      ...(field === '' ? {} : { field }),
      remedy: form,
    },
  );
}

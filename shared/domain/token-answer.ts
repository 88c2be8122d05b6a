import * as z from 'zod';
import { RekeyError, type ErrorCode } from './errors.ts';
import { Redacted } from './redacted.ts';

/** What an authorization server gives: an access token, and what refreshes it where it rotates that. */
export interface TokenSet {
  readonly accessToken: Redacted<string>;
  /** Absent where the one before stays, or where there is none. */
  readonly refreshToken?: Redacted<string>;
  readonly expiresInSeconds?: number;
  /** Absent where it is what was asked for. */
  readonly scope?: string;
  /** As it is written before the token in a header. */
  readonly tokenType: string;
}

/** Status and text of an answer. */
export interface PlainAnswer {
  readonly status: number;
  readonly text: string;
  /** How long the server wants to be left alone (RFC 9110, 10.2.3). */
  readonly retryAfterSeconds?: number | undefined;
}

/** A failure by which nothing was spent: the server has said so, or what would have spent it was never sent. */
export class Unspent extends RekeyError {
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    {
      retryAfterSeconds,
      ...details
    }: ConstructorParameters<typeof RekeyError>[2] & { readonly retryAfterSeconds?: number | undefined },
  ) {
    super(code, message, details);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Why a server gave nothing, by what it is called there (RFC 6749, 5.2; Slack, GitHub and others have words of their own). */
const CONSENT: ReadonlySet<string> = new Set([
  'invalid_grant',
  'invalid_token',
  'interaction_required',
  'consent_required',
  'login_required',
  'invalid_refresh_token',
  'bad_refresh_token',
  'token_expired',
  'token_revoked',
  'invalid_code',
  'code_already_used',
  'bad_verification_code',
  'account_inactive',
  'inactive_user',
]);
const CLIENT: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'invalid_client_id',
  'bad_client_secret',
  'incorrect_client_credentials',
]);
/** Too many requests: this one was turned away at the door. */
const TURNED_AWAY: ReadonlySet<string> = new Set([
  'slow_down',
  'ratelimited',
  'rate_limited',
  'rate_limit_exceeded',
]);
const LATER: ReadonlySet<string> = new Set([
  ...TURNED_AWAY,
  'temporarily_unavailable',
  'server_error',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
]);
const LATER_STATUS: ReadonlySet<number> = new Set([408, 425]);
/** Tokens that are worth something only with a key beside them, which agents don't have. */
const BOUND_TYPES: ReadonlySet<string> = new Set(['dpop', 'mac', 'pop']);

/** What may stand in a header (RFC 6749, appendix A.12) and in a form; more than this is no token but something else. */
const accessToken = z
  .string()
  .max(16_384)
  .regex(/^[\x21-\x7e]+$/);
const refreshToken = z
  .string()
  .max(16_384)
  .regex(/^[\x20-\x7e]+$/);

const given = z.object({
  access_token: accessToken,
  refresh_token: refreshToken.nullish(),
  token_type: z.string().nullish(),
  expires_in: z.coerce.number().positive().nullish().catch(undefined),
  scope: z.string().nullish(),
});
const refused = z.object({ error: z.string().min(1) });

/**
 * The tokens in the answer of a token endpoint. A refusal is one whatever its status: some servers say it with 200.
 * @param name what the server is called in messages
 * @throws RekeyError ERR_CONSENT, ERR_ADMIN_DENIED (the client), ERR_UNAVAILABLE, ERR_REJECTED
 */
export function tokensOf(answer: PlainAnswer, name: string): TokenSet {
  const body = jsonOf(answer.text);
  const refusal = refusalOf(answer, body, name);
  if (refusal !== undefined) throw refusal;
  const parsed = given.safeParse(body);
  if (!parsed.success) throw unreadable(name, parsed.error.issues[0]?.path.join('.') ?? '');
  const { access_token, refresh_token, token_type, expires_in, scope } = parsed.data;
  const type = (token_type ?? 'bearer').toLowerCase();
  if (BOUND_TYPES.has(type)) {
    throw new RekeyError('ERR_REJECTED', `${name} gives tokens of type ${type}, bound to a key`, {
      field: 'client',
      remedy: 'register the client there for bearer tokens: a token that is bound can be handed to nobody',
    });
  }
  return {
    accessToken: new Redacted(access_token),
    ...(refresh_token == null ? {} : { refreshToken: new Redacted(refresh_token) }),
    ...(expires_in == null ? {} : { expiresInSeconds: expires_in }),
    ...(scope == null ? {} : { scope }),
    tokenType: 'Bearer',
  };
}

/**
 * What the answer of a revocation endpoint means (RFC 7009).
 * @throws RekeyError as `tokensOf`, without ERR_CONSENT
 */
export function revocationOf(answer: PlainAnswer, name: string): 'revoked' | 'unsupported' {
  const body = jsonOf(answer.text);
  const error = errorOf(body);
  if (error === 'unsupported_token_type') return 'unsupported';
  const refusal = refusalOf(answer, body, name);
  if (refusal === undefined) return 'revoked';
  // Dead already. Only the word of the server counts: a status alone says nothing of the token.
  if (refusal.code === 'ERR_CONSENT') return 'revoked';
  throw refusal;
}

function refusalOf(
  { status, retryAfterSeconds }: PlainAnswer,
  body: unknown,
  name: string,
): RekeyError | undefined {
  const error = errorOf(body);
  // The word is of the server and might quote anything: only a known one is repeated.
  const word = error !== undefined && [CONSENT, CLIENT, LATER].some((known) => known.has(error)) ? error : '';
  const said = `${name} answers ${status}${word === '' ? '' : ` ${word}`}`;
  if (status === 429 || (status < 500 && TURNED_AWAY.has(word))) {
    return new Unspent('ERR_UNAVAILABLE', said, { remedy: 'it is tried again', retryAfterSeconds });
  }
  // Whoever answers 5xx may have done it all the same.
  if (status >= 500 || LATER_STATUS.has(status) || LATER.has(word)) {
    return new RekeyError('ERR_UNAVAILABLE', said, { remedy: 'it is tried again' });
  }
  if (CONSENT.has(word)) {
    return new RekeyError('ERR_CONSENT', `${said}: it takes this grant no more`, {
      remedy: 'a person consents again: `rekey connect`',
    });
  }
  if (CLIENT.has(word) || status === 401) {
    return new RekeyError('ERR_ADMIN_DENIED', `${said}: it does not take the client`, {
      field: 'client',
      remedy: "look whether the client's id and secret are those of its registration there",
    });
  }
  if (status >= 300 && status < 400) {
    return new RekeyError('ERR_REJECTED', `${said}, a redirect, which is not followed`, {
      field: 'server',
      remedy: 'name the address at which the endpoint itself answers',
    });
  }
  if (status >= 200 && status < 300 && error === undefined) return undefined;
  return new RekeyError('ERR_REJECTED', said, {
    field: 'server',
    remedy:
      'hold scopes, resource and client against their registration there: the request is refused as it is',
  });
}

/** The word for a refusal, also as Slack says it: `{"ok": false, "error": …}`. */
function errorOf(body: unknown): string | undefined {
  const parsed = refused.safeParse(body);
  if (parsed.success) return parsed.data.error;
  return z.object({ ok: z.literal(false) }).safeParse(body).success ? '' : undefined;
}

function unreadable(name: string, at: string): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', `${name} answers in another form than RFC 6749 has (at "${at}")`, {
    remedy: 'look whether the address is that of its token endpoint; nothing of the answer is kept',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}

import { createHash, randomBytes } from 'node:crypto';
import { EXIT, Failure } from '../failure.ts';

/** A consent that is asked for: what makes it ours when the browser comes back. */
export interface PendingConsent {
  readonly state: string;
  /** Leaves this process only together with the code (RFC 7636). */
  readonly codeVerifier: string;
  readonly codeChallenge: string;
}

/** A new one, with 256 random bits each. */
export function newConsent(): PendingConsent {
  const codeVerifier = randomBytes(32).toString('base64url');
  return {
    state: randomBytes(32).toString('base64url'),
    codeVerifier,
    codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
  };
}

/** Who must have sent the browser back. */
export interface Sender {
  readonly issuer?: string | undefined;
  readonly sendsIssuer: boolean;
}

/**
 * The code that a browser brings back; undefined where it comes for something else, as a page that somebody was lured to.
 * @throws Failure where the answer is ours and there is no code in it, or another server has sent it (RFC 9207)
 */
export function codeIn(
  params: URLSearchParams,
  { state }: PendingConsent,
  sender: Sender,
): string | undefined {
  const one = (name: string): string | undefined => {
    const [value, ...more] = params.getAll(name);
    return more.length === 0 ? value : undefined;
  };
  if (one('state') !== state) return undefined;
  assertSender(one('iss'), sender);
  const error = one('error');
  if (error !== undefined) throw denied(error);
  const code = one('code');
  if (code === undefined || code === '') throw unhappy('the browser came back without a code');
  return code;
}

function assertSender(iss: string | undefined, { issuer, sendsIssuer }: Sender): void {
  if (issuer === undefined || iss === issuer || (iss === undefined && !sendsIssuer)) return;
  throw unhappy(
    'another server than the declared one has sent the browser back: its code was sent nowhere',
    'run `rekey connect` again in a browser of its own; if it happens again, hold the issuer in the declaration against that of the server',
  );
}

function denied(error: string): Failure {
  if (error === 'access_denied') return unhappy('the person at the browser did not consent');
  // Whoever sent the browser has written it.
  const word = /^[a-z_]{1,40}$/.test(error) ? ` (${error})` : '';
  return unhappy(
    `the server has refused to ask for consent${word}`,
    'hold scopes, resource and redirect address against the registration of the client at the server',
  );
}

/** It was waited for, and there is no consent. */
export function unhappy(message: string, remedy = 'run `rekey connect` again'): Failure {
  return new Failure('ERR_CONSENT', `${message}; nothing was changed`, { exit: EXIT.unhappy, remedy });
}

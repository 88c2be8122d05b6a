import * as z from 'zod';
import type { Instant } from './clock.ts';
import { RekeyError } from './errors.ts';
import type { Family } from './families.ts';
import { fingerprint } from './fingerprint.ts';
import { lifeOf, type Got } from './family-refresh.ts';
import { allowedHosts } from './hosts.ts';
import { Redacted } from './redacted.ts';
import type { TokenSet } from './token-answer.ts';

/** An answer of a server as it is kept: the whole of it in one version, so that whoever comes next can go on from there. */
const keptForm = z.object({
  refresh_token: z.string().optional(),
  access_token: z.string(),
  token_type: z.string(),
  scope: z.string().optional(),
  obtained_at: z.string(),
  expires_at: z.string(),
});

/** What the refresh secret holds of one attempt. */
export interface Kept {
  readonly refreshToken?: Redacted<string>;
  readonly accessToken: Redacted<string>;
  readonly tokenType: string;
  readonly scope?: string | undefined;
  readonly at: Instant;
  readonly expiresAt: Instant;
}

/** An answer got at `now`; a server that gives no other refresh token leaves the one before. */
export function kept(answer: TokenSet, before: Redacted<string> | undefined, now: number): Kept {
  const refreshToken = answer.refreshToken ?? before;
  return {
    ...(refreshToken === undefined ? {} : { refreshToken }),
    accessToken: answer.accessToken,
    tokenType: answer.tokenType,
    scope: answer.scope,
    ...lifeOf(answer.expiresInSeconds, now),
  };
}

/** The text of a version of the refresh secret. */
export function keptText({
  refreshToken,
  accessToken,
  tokenType,
  scope,
  at,
  expiresAt,
}: Kept): Redacted<string> {
  return accessToken.map((access_token) =>
    JSON.stringify({
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken.reveal() }),
      access_token,
      token_type: tokenType,
      ...(scope === undefined ? {} : { scope }),
      obtained_at: at,
      expires_at: expiresAt,
    } satisfies z.infer<typeof keptForm>),
  );
}

/** What that text holds. @throws RekeyError ERR_MATERIAL_MISMATCH where Rekey didn't write it */
export function keptOf(
  text: Redacted<string>,
  { refreshSecretName }: Pick<Family, 'refreshSecretName'>,
): Kept {
  const parsed = keptForm.safeParse(jsonOf(text));
  if (!parsed.success) throw notOurs(refreshSecretName);
  const { refresh_token, access_token, token_type, scope, obtained_at, expires_at } = parsed.data;
  return {
    ...(refresh_token === undefined ? {} : { refreshToken: new Redacted(refresh_token) }),
    accessToken: new Redacted(access_token),
    tokenType: token_type,
    scope,
    at: obtained_at,
    expiresAt: expires_at,
  };
}

/** The refusal of a version that is missing, or that somebody else has put there. */
export function notOurs(secretName: string): RekeyError {
  return new RekeyError('ERR_MATERIAL_MISMATCH', `${secretName} does not have what Rekey has put there`, {
    field: 'refresh token',
    remedy: 'nobody but Rekey writes that secret; `rekey connect` begins a new family',
  });
}

/** What the ledger knows of it. */
export function gotOf(versionId: string, { refreshToken, accessToken, scope, at, expiresAt }: Kept): Got {
  return {
    versionId,
    fingerprint: fingerprint(refreshToken ?? accessToken),
    refreshable: refreshToken !== undefined,
    at,
    expiresAt,
    scope,
  };
}

/** What agents read. */
export function agentText({ accessToken, tokenType, scope, expiresAt }: Kept): Redacted<string> {
  return accessToken.map((access_token) =>
    JSON.stringify({
      access_token,
      token_type: tokenType,
      expires_at: expiresAt,
      ...(scope === undefined ? {} : { scope }),
    }),
  );
}

/** What agents read while there is no token: before the first consent, and after an emergency. */
export function noToken(at: Instant): Redacted<string> {
  return new Redacted(JSON.stringify({ error: 'consent_needed', since: at }));
}

const clientForm = z.union([
  z.object({ client_secret: z.string().min(1) }).transform(({ client_secret }) => client_secret),
  z
    .object({ private_key: z.looseObject({ kty: z.string() }) })
    .transform(({ private_key }) => JSON.stringify(private_key)),
  // As Rekey itself writes it where it rotates the key of the client.
  z.object({ private_key: z.string().startsWith('{') }).transform(({ private_key }) => private_key),
]);

const hostsForm = z.object({ allowedHosts: allowedHosts.optional() });

/**
 * What a client authenticates with: `{"client_secret": …}`, as a registration answers (RFC 7591), or `{"private_key": JWK}`.
 * @throws RekeyError ERR_DECLARATION where the secret has neither
 */
export function clientSecretOf(text: Redacted<string>, secretName: string): Redacted<string> {
  const parsed = clientForm.safeParse(jsonOf(text));
  if (parsed.success) return new Redacted(parsed.data);
  throw new RekeyError('ERR_DECLARATION', `${secretName} has no client secret`, {
    field: 'client.secret',
    remedy: 'put {"client_secret": …} or {"private_key": {"kty": …}} into it',
  });
}

/**
 * Hosts that the same secret names for itself, whoever declares what; undefined where it says nothing.
 * @throws RekeyError ERR_DECLARATION where it says something else
 */
export function clientHostsOf(text: Redacted<string>, secretName: string): readonly string[] | undefined {
  const parsed = hostsForm.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data.allowedHosts;
  throw new RekeyError('ERR_DECLARATION', `\`allowedHosts\` of ${secretName} is no list of hosts`, {
    field: 'client.secret',
    remedy: 'write it as ["login.example", "*.idp.example"]: names without scheme, port and path',
  });
}

function jsonOf(text: Redacted<string>): unknown {
  try {
    return JSON.parse(text.reveal());
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}

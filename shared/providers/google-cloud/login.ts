import { importPKCS8, SignJWT } from 'jose';
import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';

/** What counts of a service account's key file, as Google gives it. */
export const keyFileSchema = z.object({
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().min(1),
  /** Where its tokens come from: of the file, never of a target. */
  token_uri: z.url().default('https://oauth2.googleapis.com/token'),
});

/** A service account's key. As Google's own clients do, its id is sent along where it is known. */
export type KeyFile = Omit<z.infer<typeof keyFileSchema>, 'private_key_id'> & {
  readonly private_key_id?: string | undefined;
};

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
/** Google gives tokens of an hour; an assertion is of use for as long as its exchange takes. */
const ASSERTION_LIFE = '5m';
/** How Google says that a key or its account is unknown, disabled or deleted: with 400, and 401 at times. */
const denied = z.object({ error: z.enum(['invalid_grant', 'invalid_client', 'unauthorized_client']) });

/**
 * Exchanges an assertion that is signed with the key for an access token. `open` gives an API at an address.
 * @throws RekeyError as `Api.call`; ERR_MATERIAL_MISMATCH where `private_key` is none, with `field`
 */
export async function tokenOf(key: KeyFile, open: (baseUrl: string) => Api, field: string): Promise<string> {
  const { token_uri: uri, private_key_id: kid } = key;
  const { origin, pathname } = new URL(uri);
  const assertion = await new SignJWT({ scope: SCOPE })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(kid === undefined ? {} : { kid }) })
    .setIssuer(key.client_email)
    .setAudience(uri)
    .setIssuedAt()
    .setExpirationTime(ASSERTION_LIFE)
    .sign(await signingKey(key.private_key, field));
  const { access_token: token } = await open(origin).call({
    method: 'POST',
    path: pathname,
    form: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion },
    answer: z.object({ access_token: z.string().min(1) }),
    denied,
  });
  return token;
}

async function signingKey(pem: string, field: string): ReturnType<typeof importPKCS8> {
  try {
    return await importPKCS8(pem, 'RS256');
  } catch {
    // What the parser says may quote the key.
    throw new RekeyError('ERR_MATERIAL_MISMATCH', 'private_key is no RSA key in PKCS #8', {
      field,
      remedy: 'store the key file as Google gives it',
    });
  }
}

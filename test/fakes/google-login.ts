import {
  createHash,
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import type { Asked, Reply } from './upstream.ts';

/** A service account's key file, as Google gives it. */
export interface FakeKeyFile {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly token_uri: string;
}

/** What the token endpoint has to know; of the key its public half is enough. */
type KnownKey = Pick<FakeKeyFile, 'private_key_id' | 'client_email' | 'private_key'>;

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Making one takes a while: each process has one. */
let made: string | undefined;

/** The key of Rekey's own service account, without a server that knows it yet. */
export function administratorAt(tokenUri: string): FakeKeyFile {
  made ??= generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
  return {
    type: 'service_account',
    project_id: 'ops',
    private_key_id: createHash('sha1').update(made).digest('hex'),
    private_key: made,
    client_email: 'rekey@ops.iam.gserviceaccount.com',
    token_uri: tokenUri,
  };
}

/** The form with which an account asks for a token. */
export function signedAssertion(
  email: string,
  pem: string,
  kid: string,
  aud: string,
): Record<string, string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: email,
    aud,
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    iat: now,
    exp: now + 60,
  };
  const text = [{ alg: 'RS256', typ: 'JWT', kid }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = createSign('RSA-SHA256').update(text).sign(pem, 'base64url');
  return { grant_type: GRANT, assertion: `${text}.${signature}` };
}

/** Google's token endpoint: it exchanges what is signed with a key that it knows. */
export class FakeGoogleLogin {
  /** Tokens that it has given, and to whom. */
  readonly tokens: Map<string, string> = new Map();
  readonly #keys: Map<string, { readonly email: string; readonly key: KeyObject }> = new Map();

  /** From now on it knows the key. */
  learn({ private_key_id: id, client_email: email, private_key: pem }: KnownKey): void {
    this.#keys.set(id, { email, key: createPublicKey(pem) });
  }

  /** The id of the account's latest key that a private key is of; empty where it knows none. */
  idOf(account: string, privateKey: string): string {
    const own = createPublicKey(privateKey);
    return [...this.#keys].findLast(([, { email, key }]) => email === account && key.equals(own))?.[0] ?? '';
  }

  /** `takes` says whether a key that it knows is good now. */
  answer({ method, path, text, headers }: Asked, takes: (id: string) => boolean = () => true): Reply {
    const form = new URLSearchParams(text);
    const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
    if (method !== 'POST' || !isForm || form.get('grant_type') !== GRANT)
      return { status: 400, body: { error: 'unsupported_grant_type' } };
    const [head = '', payload = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const { kid = '', alg } = read(head);
    const { iss, aud, scope, iat, exp } = read(payload);
    const known = this.#keys.get(String(kid));
    const isSigned =
      known !== undefined &&
      alg === 'RS256' &&
      createVerify('RSA-SHA256').update(`${head}.${payload}`).verify(known.key, signature, 'base64url');
    const now = Date.now() / 1000;
    const isTimely = Number(iat) <= now + 60 && Number(exp) > now && Number(exp) - Number(iat) <= 3600;
    const isMeant =
      iss === known?.email &&
      new URL(String(aud)).pathname === path &&
      typeof scope === 'string' &&
      scope !== '';
    if (!isSigned || !isTimely || !isMeant || !takes(String(kid))) {
      const description = 'Invalid JWT Signature: sk-quoted-by-the-upstream';
      return { status: 400, body: { error: 'invalid_grant', error_description: description } };
    }
    const token = `ya29.${randomBytes(24).toString('base64url')}`;
    this.tokens.set(token, String(iss));
    return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } };
  }
}

/** Who asks for a token. */
export function issuerOf({ text }: Asked): string {
  const [, payload = ''] = (new URLSearchParams(text).get('assertion') ?? '').split('.');
  return String(read(payload)['iss']);
}

function read(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString() || '{}') as Record<string, unknown>;
}

import {
  createHash,
  createPublicKey,
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

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** A key of a service account, without an account that knows it yet. Making one takes a while. */
export function makeKeyFile(email: string, project: string, tokenUri: string): FakeKeyFile {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    type: 'service_account',
    project_id: project,
    private_key_id: createHash('sha1').update(pem).digest('hex'),
    private_key: pem,
    client_email: email,
    token_uri: tokenUri,
  };
}

/** Google's token endpoint: it exchanges what is signed with a key that it knows. */
export class FakeGoogleLogin {
  /** Tokens that it has given, and to whom. */
  readonly tokens: Map<string, string> = new Map();
  readonly #keys: Map<string, { readonly email: string; readonly key: KeyObject }> = new Map();

  /** From now on it knows the key. */
  learn({ private_key_id: id, client_email: email, private_key: pem }: FakeKeyFile): void {
    this.#keys.set(id, { email, key: createPublicKey(pem) });
  }

  /** `takes` says whether a key that it knows is good now. */
  answer({ method, path, text, headers }: Asked, takes: (id: string) => boolean = () => true): Reply {
    const form = new URLSearchParams(text);
    const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
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

function read(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString() || '{}') as Record<string, unknown>;
}

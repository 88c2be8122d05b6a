import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { SignRequest } from './agent/api.ts';

/** Credentials of AWS, as the SDK's providers give them. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Who signs, and for which region. The `config` of any client of the AWS SDK has both. */
export interface SigV4Options {
  readonly credentials: AwsIdentity | (() => Promise<AwsIdentity>);
  readonly region: string | (() => Promise<string>);
}

/** Signs requests to the agent API with the AWS SDK's own signer: `sigV4(client.config)`. */
export function sigV4({ credentials, region }: SigV4Options): SignRequest {
  const identity =
    typeof credentials === 'function' ? async () => identityOf(await credentials()) : credentials;
  const signer = new SignatureV4({
    service: 'execute-api',
    sha256: Sha256,
    region,
    credentials: typeof identity === 'function' ? identity : identityOf(identity),
  });
  return async ({ method, url, headers, body }) => {
    const signed = await signer.sign({
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { ...headers, host: url.host },
      body,
    });
    const { host: _host, ...rest } = signed.headers;
    return rest;
  };
}

/** SHA-256, or its HMAC where there is a secret, in the form that the signer takes. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  /** Part of the form; the signer never uses an instance twice. */
  reset(): void {
    throw new Error('a hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** Without what is not given. */
function identityOf({ accessKeyId, secretAccessKey, sessionToken }: AwsIdentity): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

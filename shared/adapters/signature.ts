import { createHash, createHmac } from 'node:crypto';

/** What is signed. The path is as it goes over the wire, percent-encoded; a query has its names in order. */
export interface SignedRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SigningContext {
  readonly service: string;
  readonly region: string;
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  readonly time: Date;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';

/**
 * The request's headers with AWS Signature Version 4. With Node's own hashes: WebCrypto and the classes of fetch cost
 * more to load than the whole first call otherwise takes (docs/adr/003).
 */
export function sign(request: SignedRequest, context: SigningContext): Record<string, string> {
  const { service, region, credentials } = context;
  const time = context.time.toISOString().replace(/[:-]|\.\d{3}/g, '');
  const payload = sha256(request.body);
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-date': time,
    ...(service === 's3' ? { 'x-amz-content-sha256': payload } : {}),
    ...(credentials.sessionToken === undefined ? {} : { 'x-amz-security-token': credentials.sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const [path = '', query = ''] = request.path.split('?');
  const canonical = [
    request.method,
    canonicalPath(path, service),
    query,
    ...names.map((name) => `${name}:${headers[name]?.trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    payload,
  ].join('\n');
  const scope = [time.slice(0, 8), region, service, 'aws4_request'];
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`);
  const signature = hmac(key, [ALGORITHM, time, scope.join('/'), sha256(canonical)].join('\n')).toString(
    'hex',
  );
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope.join('/')}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}

/** Every service but S3 signs the path encoded once more than it is sent. */
function canonicalPath(path: string, service: string): string {
  const encoded = service === 's3' ? path : path.split('/').map(encodeURIComponent).join('/');
  return encoded.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

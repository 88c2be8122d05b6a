import { createHash, X509Certificate } from 'node:crypto';
import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import {
  grantOf,
  introspectionOf,
  partsOf,
  publishedTokens,
  tokenDocument,
} from '../../shared/domain/agent-token.ts';
import type { Clock } from '../../shared/domain/clock.ts';
import { DIRECTORY_ROUTES, type DirectoryRouteKey } from '../../shared/domain/directory-routes.ts';
import { authorityDocument, bundlePem } from '../../shared/domain/bundle.ts';
import { publishedOf, type DirectorySet, type SetRef } from '../../shared/domain/directory.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { listNow } from '../../shared/domain/revocations.ts';
import type { CertificateStatuses } from '../../shared/engine/certificates/status.ts';
import type { DirectoryReads } from '../../shared/ports/directory.ts';
import type { Revocations } from '../../shared/ports/revocations.ts';
import { pemOf } from '../../shared/x509/pem.ts';
import { matchRoute } from '../http/match.ts';
import { BodyTooLarge, bytesOf, headerOf, pathOf, textOf } from '../http/request.ts';
import { json, notAllowed, problem } from '../http/response.ts';

/** What the routes need. */
export interface DirectoryServices {
  readonly directory: DirectoryReads;
  readonly revocations: Pick<Revocations, 'read'>;
  readonly clock: Clock;
  readonly statuses: () => Promise<CertificateStatuses>;
}

/** An answer, and the error behind what Rekey didn't raise on purpose: for the log only. */
interface Handled {
  readonly response: ApiResponse;
  readonly unexpected?: unknown;
}

type Route = (
  event: ApiEvent,
  param: string,
  services: DirectoryServices,
  second: string,
) => Promise<ApiResponse>;

const ROUTES: Readonly<Record<DirectoryRouteKey, Route>> = {
  'GET /jwks/{set}': jwks,
  'GET /bundles/{set}': bundle,
  'GET /crl/{set}': lists,
  'GET /crl/{set}/{authority}': list,
  'POST /ocsp/{set}': ocsp,
  'GET /ocsp/{set}/{request+}': ocspByPath,
  'GET /tokens/{set}': tokens,
  'POST /introspect': introspect,
};

/** A token and the fields beside it are far shorter. */
const MAX_BODY_BYTES = 4096;

/** Answers one request. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, services: DirectoryServices): Promise<Handled> {
  try {
    const { method } = event.requestContext.http;
    const found = matchRoute(DIRECTORY_ROUTES, method, pathOf(event));
    if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
    if (found.route === undefined) return { response: notAllowed(method, found.methods) };
    return {
      response: await ROUTES[found.route](event, found.params[0] ?? '', services, found.params[1] ?? ''),
    };
  } catch (error) {
    return {
      response: problem(error, error instanceof BodyTooLarge ? 413 : undefined),
      ...(isRekeyError(error) ? {} : { unexpected: error }),
    };
  }
}

/** A JWK set (RFC 7517), for every cache. */
async function jwks(
  event: ApiEvent,
  name: string,
  { directory, clock }: DirectoryServices,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'jwks', name });
  const keys = publishedOf(set, clock()).map(({ document }) => document);
  return tagged(
    event,
    'application/jwk-set+json',
    `public, max-age=${set.times.cacheSeconds}`,
    JSON.stringify({ keys }),
  );
}

/** A trust bundle, for every cache: certificates in PEM, or as SPIFFE has it (SPIFFE Trust Domain and Bundle, section 4). */
async function bundle(
  event: ApiEvent,
  name: string,
  { directory, clock }: DirectoryServices,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'bundles', name });
  const cache = `public, max-age=${set.times.cacheSeconds}`;
  if (!(headerOf(event, 'accept') ?? '').includes('application/json')) {
    return byAccept(tagged(event, 'application/x-pem-file', cache, bundlePem(set, clock())));
  }
  const keys = publishedOf(set, clock()).map(({ document }) => {
    const { publicKey, raw } = new X509Certificate(authorityDocument.parse(document).certificate);
    return { ...publicKey.export({ format: 'jwk' }), use: 'x509-svid', x5c: [raw.toString('base64')] };
  });
  const body = { keys, spiffe_sequence: set.version, spiffe_refresh_hint: set.times.cacheSeconds };
  return byAccept(tagged(event, 'application/json', cache, JSON.stringify(body)));
}

/** What the authorities of a bundle have revoked, as PEM one after the other: for servers that read a file. */
async function lists(
  event: ApiEvent,
  name: string,
  { directory, revocations, clock }: DirectoryServices,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'bundles', name });
  const now = clock();
  const read = await Promise.all(publishedOf(set, now).map(async ({ id }) => revocations.read(name, id)));
  const signed = read.flatMap((each) => listNow(each, now) ?? []);
  if (signed.length === 0) throw unlisted();
  const body = signed.map(({ der }) => pemOf('X509 CRL', Buffer.from(der, 'base64'))).join('');
  return tagged(event, 'application/x-pem-file', `public, max-age=${set.times.cacheSeconds}`, body);
}

/** What one authority has revoked (RFC 5280, section 5): what its certificates name. It was signed ahead of time. */
async function list(
  event: ApiEvent,
  name: string,
  { directory, revocations, clock }: DirectoryServices,
  authority: string,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'bundles', name });
  const now = clock();
  if (!publishedOf(set, now).some(({ id }) => id === authority)) {
    throw new RekeyError('ERR_NOT_FOUND', `no authority ${authority} is in the bundle ${name}`, {
      remedy: 'trust nothing that it has signed: it has ended, or never was',
    });
  }
  const signed = listNow(await revocations.read(name, authority), now);
  if (signed === undefined) throw unlisted();
  const cache = `public, max-age=${set.times.cacheSeconds}`;
  return tagged(event, 'application/pkix-crl', cache, Buffer.from(signed.der, 'base64'));
}

/** Whether a certificate is revoked (RFC 6960). */
async function ocsp(event: ApiEvent, name: string, services: DirectoryServices): Promise<ApiResponse> {
  return status(name, bytesOf(event, MAX_BODY_BYTES), services);
}

/** The same by GET, as servers that staple ask (RFC 6960, appendix A.1): base64 in the path. */
async function ocspByPath(
  _event: ApiEvent,
  name: string,
  services: DirectoryServices,
  request: string,
): Promise<ApiResponse> {
  return status(name, Buffer.from(request, 'base64'), services);
}

async function status(
  name: string,
  request: Uint8Array,
  { directory, statuses }: DirectoryServices,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'bundles', name });
  const { der, cacheSeconds } = await (await statuses()).of(set, request);
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/ocsp-response', 'cache-control': `max-age=${cacheSeconds}` },
    body: Buffer.from(der).toString('base64'),
    isBase64Encoded: true,
  };
}

/** Tells caches that another `Accept` has another answer. */
function byAccept(response: ApiResponse): ApiResponse {
  return { ...response, headers: { ...response.headers, vary: 'accept' } };
}

/** Digests of the tokens that are accepted now, for a verifier that checks by itself. */
async function tokens(
  event: ApiEvent,
  name: string,
  { directory, clock }: DirectoryServices,
): Promise<ApiResponse> {
  const set = await published(directory, { kind: 'tokens', name });
  const told = publishedTokens(set, clock()).map(({ id, document, notAfter }) => ({
    id,
    ...tokenDocument.parse(document),
    ...(notAfter === undefined ? {} : { notAfter }),
  }));
  const body = { set: name, ...set.times, tokens: told };
  return tagged(
    event,
    'application/json',
    `private, max-age=${set.times.cacheSeconds}`,
    JSON.stringify(body),
  );
}

/** Token introspection (RFC 7662). Whatever is no live token is not active, and nothing says why. */
async function introspect(
  event: ApiEvent,
  _param: string,
  { directory, clock }: DirectoryServices,
): Promise<ApiResponse> {
  const token = new URLSearchParams(textOf(event, MAX_BODY_BYTES)).get('token');
  if (token === null) {
    throw new RekeyError('ERR_REQUEST', 'the request names no token', {
      field: 'token',
      remedy: 'send token=… as application/x-www-form-urlencoded (RFC 7662, section 2.1)',
    });
  }
  const parts = partsOf(token);
  const set = parts && (await directory.read({ kind: 'tokens', name: parts.set }));
  const grant = grantOf(set, token, clock());
  return json(200, grant === undefined ? { active: false } : introspectionOf(grant));
}

async function published(directory: DirectoryReads, ref: SetRef): Promise<DirectorySet> {
  const set = await directory.read(ref);
  if (set !== undefined) return set;
  throw new RekeyError('ERR_NOT_FOUND', `there is no set ${ref.kind}/${ref.name}`, {
    remedy: 'take the name from target.name of the declaration',
  });
}

/** Nothing was signed yet, or not for long. */
function unlisted(): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', 'no list of what is revoked counts now', {
    remedy: 'a new authority has one within five minutes; else look at the function revoke-certificates',
  });
}

/** The answer, or 304 to whoever has it already (RFC 9110, section 13.1.2). */
function tagged(event: ApiEvent, type: string, cacheControl: string, body: string | Buffer): ApiResponse {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  const headers = { etag, 'cache-control': cacheControl };
  const known = (headerOf(event, 'if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag)) return { statusCode: 304, headers };
  const whole = { statusCode: 200, headers: { ...headers, 'content-type': type } };
  return typeof body === 'string'
    ? { ...whole, body }
    : { ...whole, body: body.toString('base64'), isBase64Encoded: true };
}

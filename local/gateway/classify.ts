import type { IncomingHttpHeaders } from 'node:http';
import { isRecord, recordOf, recordsOf } from '../json.ts';

/** What a request asks AWS for, read from its wire form. Holds names and keys, never values. */
export interface CallKind {
  /** The IAM namespace: `secretsmanager`, `dynamodb`, `lambda`, … */
  readonly service: string;
  /** The API's operation name: `GetSecretValue`; for REST services that we don't know, method and path. */
  readonly operation: string;
  /** Logical name of the function that made the call, where its user agent says so. */
  readonly function?: string;
  /** The access key that signed it, where that is a role's: which role called, whatever the user agent says. */
  readonly session?: string;
  /** Secret, table, key, bucket/object, queue, … that the call is about. */
  readonly resource?: string;
  /** Further key fields that aren't secret: version ids, labels. */
  readonly keys?: Readonly<Record<string, string>>;
}

/** Fields of JSON bodies that name a resource, in order of preference. */
const resourceFields = [
  'SecretId',
  'Name',
  'TableName',
  'KeyId',
  'QueueUrl',
  'TopicArn',
  'stateMachineArn',
  'executionArn',
  'WorkGroup',
  'logGroupName',
  'StreamArn',
  'CertificateAuthorityArn',
];
const keyFields = [
  'VersionId',
  'VersionStage',
  'ClientRequestToken',
  'MoveToVersionId',
  'RemoveFromVersionId',
];

/** Reads service, operation, caller and resource from the headers, the path and (if given) the parsed JSON or form. */
export function classify(
  method: string,
  url: string,
  headers: IncomingHttpHeaders,
  body: Readonly<Record<string, unknown>> | undefined,
): CallKind {
  const { pathname, searchParams } = new URL(url, 'http://gateway');
  const target = headerOf(headers, 'x-amz-target');
  const [, signer, signedFor] =
    /Credential=([^/]+)\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? '') ?? [];
  const caller = /(?:^|\s)(?:app|fn)\/([^\s]+)/.exec(headers['user-agent'] ?? '')?.[1];
  const who = {
    ...(caller === undefined ? {} : { function: caller }),
    ...(signer?.startsWith('ASIA') === true ? { session: signer } : {}),
  };

  const api = apiCall(pathname, headers.host ?? '');
  if (api !== undefined) {
    return { service: 'execute-api', operation: `${method} ${api.path}`, resource: api.id, ...who };
  }
  const service = namespaceOf(signedFor ?? target?.split(/[._]/)[0]?.toLowerCase() ?? guess(pathname));
  const operation = target?.split('.').at(-1) ?? cborOperation(pathname) ?? textOf(body?.['Action']);
  if (operation !== undefined) return { service, operation, ...who, ...resourceOf(body), ...keysOf(body) };
  return { service, ...rest(service, method, pathname, searchParams, headers), ...who };
}

/** The HTTP API behind a path of the form `/_aws/execute-api/{id}/…` or a host `{id}.execute-api.…`. */
function apiCall(pathname: string, host: string): { id: string; path: string } | undefined {
  const byPath = /^\/_aws\/execute-api\/([^/]+)(\/.*)?$/.exec(pathname);
  if (byPath?.[1] !== undefined) return { id: byPath[1], path: byPath[2] ?? '/' };
  const byHost = /^([a-z0-9]+)\.execute-api\./.exec(host);
  return byHost?.[1] === undefined ? undefined : { id: byHost[1], path: pathname };
}

function cborOperation(pathname: string): string | undefined {
  return /^\/service\/[^/]+\/operation\/([^/]+)$/.exec(pathname)?.[1];
}

function namespaceOf(name: string): string {
  return name === 'monitoring' ? 'cloudwatch' : name;
}

function guess(pathname: string): string {
  return pathname.startsWith('/2015-03-31/functions') ? 'lambda' : 'unknown';
}

function resourceOf(body: Readonly<Record<string, unknown>> | undefined): { resource?: string } {
  if (body === undefined) return {};
  for (const field of resourceFields) {
    const value = textOf(body[field]);
    if (value !== undefined) return { resource: value };
  }
  const several = [...tablesOf(body), ...busesOf(body)];
  return several.length === 0 ? {} : { resource: [...new Set(several)].sort().join(',') };
}

function tablesOf(body: Readonly<Record<string, unknown>>): string[] {
  if (isRecord(body['RequestItems'])) return Object.keys(body['RequestItems']);
  return recordsOf(body['TransactItems'])
    .flatMap((item) => Object.values(item))
    .flatMap((part) => textOf(recordOf(part)['TableName']) ?? []);
}

function busesOf(body: Readonly<Record<string, unknown>>): string[] {
  return recordsOf(body['Entries'])
    .filter((entry) => 'DetailType' in entry)
    .map((entry) => textOf(entry['EventBusName']) ?? 'default');
}

function keysOf(body: Readonly<Record<string, unknown>> | undefined): { keys?: Record<string, string> } {
  const found = keyFields.flatMap((field) => {
    const value = textOf(body?.[field]);
    return value === undefined ? [] : [[field, value] as const];
  });
  return found.length === 0 ? {} : { keys: Object.fromEntries(found) };
}

function rest(
  service: string,
  method: string,
  pathname: string,
  query: URLSearchParams,
  headers: IncomingHttpHeaders,
): Pick<CallKind, 'operation' | 'resource' | 'keys'> {
  const parts = pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  if (service === 's3') return s3Call(method, parts, query, headers);
  if (service === 'lambda' && parts[1] === 'functions' && parts[2] !== undefined) {
    const operation = parts[3] === 'invocations' ? 'Invoke' : `${method} ${parts.slice(3).join('/')}`.trim();
    return { operation, resource: parts[2] };
  }
  if (service === 'scheduler' && parts[0] === 'schedules' && parts[1] !== undefined) {
    const verbs: Record<string, string> = { POST: 'Create', GET: 'Get', PUT: 'Update', DELETE: 'Delete' };
    return { operation: `${verbs[method] ?? method}Schedule`, resource: parts[1] };
  }
  return { operation: `${method} ${pathname}` };
}

function s3Call(
  method: string,
  parts: readonly string[],
  query: URLSearchParams,
  headers: IncomingHttpHeaders,
): Pick<CallKind, 'operation' | 'resource' | 'keys'> {
  const [bucket, ...key] = parts;
  if (bucket === undefined) return { operation: 'ListBuckets' };
  if (key.length === 0) {
    if (method === 'GET' && (query.has('list-type') || query.size === 0)) {
      const prefix = query.get('prefix') ?? '';
      return { operation: 'ListObjectsV2', resource: bucket, ...(prefix === '' ? {} : { keys: { prefix } }) };
    }
    const sub = [...query.keys()].find((name) => name !== 'x-id');
    const plain: Record<string, string> = { PUT: 'CreateBucket', DELETE: 'DeleteBucket', HEAD: 'HeadBucket' };
    return {
      operation: sub === undefined ? (plain[method] ?? method) : `${method}Bucket?${sub}`,
      resource: bucket,
    };
  }
  const resource = `${bucket}/${key.join('/')}`;
  const sub = ['retention', 'legal-hold', 'tagging', 'acl', 'uploads', 'uploadId'].find((name) =>
    query.has(name),
  );
  if (sub !== undefined) return { operation: `${method}Object?${sub}`, resource };
  if (method === 'PUT' && headers['x-amz-copy-source'] !== undefined)
    return { operation: 'CopyObject', resource };
  const verbs: Record<string, string> = { PUT: 'Put', GET: 'Get', HEAD: 'Head', DELETE: 'Delete' };
  return { operation: `${verbs[method] ?? method}Object`, resource };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

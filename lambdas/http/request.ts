import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2 as ApiEvent } from 'aws-lambda';
import * as z from 'zod';
import { IDEMPOTENCY_HEADER, MAX_BODY_BYTES } from '../../shared/api/messages.ts';
import { requestError } from '../../shared/api/problems.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { inWords } from '../../shared/domain/wording.ts';

/** A request that has a caller and a route. */
export interface Call {
  readonly actor: string;
  readonly params: readonly string[];
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The idempotency key, or a fresh one. */
  readonly token: string;
  /** A header by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  readonly body: () => unknown;
}

const authorized = z.object({ authorizer: z.object({ iam: z.object({ userArn: z.string().min(1) }) }) });

const KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The ARN that API Gateway authenticated; a session of an assumed role stays as it is. */
export function actorOf({ requestContext }: ApiEvent): string | undefined {
  const caller = authorized.safeParse(requestContext);
  return caller.success ? caller.data.authorizer.iam.userArn : undefined;
}

/** The path below the API's stage. */
export function pathOf({ rawPath, requestContext: { stage } }: ApiEvent): string {
  return stage !== '$default' && rawPath.startsWith(`/${stage}/`) ? rawPath.slice(stage.length + 1) : rawPath;
}

/** The request with its idempotency key checked; the body is read when a route asks for it. */
export function callOf(
  event: ApiEvent,
  actor: string,
  params: readonly string[],
  maxBytes = MAX_BODY_BYTES,
): Call {
  const key = headerOf(event, IDEMPOTENCY_HEADER);
  if (key !== undefined && !KEY.test(key)) {
    throw new RekeyError('ERR_REQUEST', 'the idempotency key is not a UUID', {
      field: 'Idempotency-Key',
      remedy: 'send a fresh lower-case UUID, and the same one with every repetition of this request',
    });
  }
  return {
    actor,
    params,
    query: event.queryStringParameters ?? {},
    token: key ?? randomUUID(),
    header: (name) => headerOf(event, name),
    body: () => bodyOf(event, maxBytes),
  };
}

/** A header by its name in lower case. */
export function headerOf({ headers }: ApiEvent, wanted: string): string | undefined {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];
}

/** Answered as 413. */
export class BodyTooLarge extends RekeyError {}

/** The body as text. @throws BodyTooLarge */
export function textOf(event: ApiEvent, maxBytes: number): string {
  return bytesOf(event, maxBytes).toString('utf8');
}

/** The body as it came. @throws BodyTooLarge */
export function bytesOf({ body = '', isBase64Encoded }: ApiEvent, maxBytes: number): Buffer {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > maxBytes) {
    throw new BodyTooLarge('ERR_REQUEST', `the body is larger than ${maxBytes} bytes`, {
      remedy: 'send less at a time: one entry of a declaration, some reports of uses',
    });
  }
  return bytes;
}

function bodyOf(event: ApiEvent, maxBytes: number): unknown {
  const text = textOf(event, maxBytes);
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body.
    throw new RekeyError('ERR_REQUEST', 'the body is not JSON', { remedy: 'send a JSON object' });
  }
}

/** The input in the form that `schema` asks for; `form` says where that is described. @throws RekeyError ERR_REQUEST naming the field */
export function parse<T extends z.ZodType>(schema: T, input: unknown, form?: string): z.infer<T> {
  const parsed = schema.safeParse(input, { error: inWords });
  if (!parsed.success) throw requestError(parsed.error, form);
  return parsed.data;
}

import type { IncomingMessage } from 'node:http';
import { isRecord } from '../json.ts';

/** A whole answer, as it goes to the caller. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

export class BodyTooLarge extends Error {}

/** Reads a request's body; more than `limit` bytes are refused. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new BodyTooLarge(`More than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** An answer in the JSON protocol of AWS. */
export function jsonAnswer(status: number, value: unknown, type = 'application/x-amz-json-1.1'): WireAnswer {
  return {
    status,
    headers: { 'content-type': type, 'x-amzn-requestid': crypto.randomUUID() },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** An error in the JSON protocol of AWS. */
export function errorAnswer(code: string, message: string, status = 400): WireAnswer {
  const answer = jsonAnswer(status, { __type: code, message, Message: message });
  return { ...answer, headers: { ...answer.headers, 'x-amzn-errortype': code } };
}

/** An error in the form that the caller's protocol expects: XML for S3 and the query services, else JSON. */
export function protocolError(
  service: string,
  isQuery: boolean,
  code: string,
  message: string,
  status: number,
): WireAnswer {
  if (service !== 's3' && !isQuery) return errorAnswer(code, message, status);
  const id = crypto.randomUUID();
  const error = `<Code>${code}</Code><Message>${message}</Message>`;
  const xml =
    service === 's3'
      ? `<Error>${error}<RequestId>${id}</RequestId></Error>`
      : `<ErrorResponse><Error><Type>Sender</Type>${error}</Error><RequestId>${id}</RequestId></ErrorResponse>`;
  return {
    status,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': id },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${xml}`),
  };
}

/** The body as an object, for JSON and form bodies; anything else is undefined. */
export function parseBody(
  contentType: string | undefined,
  body: Buffer,
): Record<string, unknown> | undefined {
  if (contentType?.startsWith('application/x-www-form-urlencoded') === true) {
    return Object.fromEntries(new URLSearchParams(body.toString('utf8')));
  }
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';

/** A request as its caller gives it: the path percent-encoded, header names in lower case. */
export interface HttpRequest {
  readonly path: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A whole answer, whatever its status. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** The connection broke, the time was up or the answer was too large before it was whole. */
export class NoAnswer extends Error {}

/** Bounds of an exchange. */
export interface ExchangeOptions {
  /** Of the whole exchange, not of a silence, in milliseconds. */
  readonly timeoutMs: number;
  /** Largest answer in bytes; none where nothing is said. */
  readonly maxBytes?: number;
  /** How the name of the host becomes an address. */
  readonly lookup?: LookupFunction;
}

/** One request and its whole answer. Redirects are answers like any other. @throws NoAnswer */
export function exchange(
  base: URL,
  { method, path, headers, body = '' }: HttpRequest,
  { timeoutMs, maxBytes = Infinity, lookup }: ExchangeOptions,
): Promise<HttpAnswer> {
  const request = base.protocol === 'http:' ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      // What isn't HTTP comes back from the parser as the bytes themselves: a key may be among them.
      if ('rawPacket' in cause) delete cause.rawPacket;
      reject(new NoAnswer('no whole answer', { cause }));
    };
    const outgoing = request(
      {
        // A literal IPv6 address stands in brackets in a URL only.
        hostname: base.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: base.port,
        path,
        method,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        // A connection that is kept was made under another lookup. One that is new can't be dead after a freeze.
        ...(lookup === undefined ? {} : { lookup, agent: false }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > maxBytes) outgoing.destroy(new Error(`an answer of more than ${maxBytes} bytes`));
        });
        incoming.on('error', fail);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    const limit = setTimeout(() => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    outgoing.on('close', () => clearTimeout(limit));
    // Another protocol is nothing that was asked for. Without a listener the connection closes and nobody hears of it.
    outgoing.on('upgrade', (_incoming, socket) => {
      socket.destroy();
      fail(new Error('an answer in another protocol'));
    });
    outgoing.on('error', fail);
    outgoing.end(body);
  });
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

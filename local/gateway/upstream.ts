import { Agent, request, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { AwsClient } from 'aws4fetch';
import { recordOf, textOf } from '../json.ts';
import { localCredentials, localRegion } from '../settings.ts';
import type { WireAnswer } from './wire.ts';

/** A rotation function that lives in this process. */
type InProcess = (event: { Step: string; SecretId: string; ClientRequestToken: string }) => Promise<void>;

/** An error that AWS answered with. */
export class AwsError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Marks the gateway's own events of Secrets Manager, see ministack/patches.py; no caller may send it. */
export const serviceEventHeader = 'x-rekey-service-event';

// These belong to one connection; the rest is passed on as it came, the Host above all, which is signed.
const hopByHop = new Set([
  serviceEventHeader,
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'expect',
]);

/** The way to MiniStack: passes callers' requests on, and makes the gateway's own calls as the account's root. */
export class Upstream {
  #url: URL | undefined;
  // Idle sockets end before MiniStack's own 75 s, so that no request meets a socket that is being closed.
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: 20_000 });
  readonly #signer = new AwsClient({ ...localCredentials, region: localRegion, retries: 0 });

  /**
   * Tells MiniStack that callers used TLS. Buckets, queues and topics deny whatever doesn't, and with IAM enforced
   * MiniStack holds to that; the local stack speaks plain HTTP on the loopback interface only.
   */
  pretendTls = false;

  /** Rotation functions that live in this process, by ARN: tests of the engine kill them at any call. */
  readonly functions = new Map<string, InProcess>();

  /** Set once MiniStack is up: it must know the gateway's address before it starts. */
  set url(url: string) {
    this.#url = new URL(url);
  }

  get ready(): boolean {
    return this.#url !== undefined;
  }

  /** Passes on a request with this body, or streams the request's own if none is given. */
  async forward(incoming: IncomingMessage, body?: Buffer): Promise<IncomingMessage> {
    try {
      return await this.#forwardOnce(incoming, body);
    } catch (error) {
      // A kept-alive socket that the server closed under us; the request never arrived.
      if (body === undefined || !(error instanceof StaleSocket)) throw error;
      return this.#forwardOnce(incoming, body);
    }
  }

  async #forwardOnce(incoming: IncomingMessage, body: Buffer | undefined): Promise<IncomingMessage> {
    const { hostname, port } = this.#target();
    const headers: string[] = [];
    for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) {
      const name = incoming.rawHeaders[i] ?? '';
      const lower = name.toLowerCase();
      if (hopByHop.has(lower) || (body !== undefined && lower === 'transfer-encoding')) continue;
      headers.push(name, incoming.rawHeaders[i + 1] ?? '');
    }
    if (this.pretendTls) headers.push('X-Forwarded-Proto', 'https');
    const outgoing = request({
      hostname,
      port,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers,
      agent: this.#agent,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', (error: NodeJS.ErrnoException) =>
        reject(outgoing.reusedSocket && error.code === 'ECONNRESET' ? new StaleSocket() : error),
      );
    });
    if (body !== undefined) {
      outgoing.end(body);
      return answered;
    }
    const [answer] = await Promise.all([answered, pipeline(incoming, outgoing)]);
    return answer;
  }

  /** A call of a JSON-protocol service in the gateway's own name. */
  async call(
    service: string,
    target: string,
    input: unknown,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> {
    const answer = await this.fetch(service, '/', {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target, ...more },
      body: JSON.stringify(input),
    });
    const value = recordOf(await answer.json());
    if (answer.ok) return value;
    const code = textOf(value['__type']) ?? `HTTP ${answer.status}`;
    throw new AwsError(code, textOf(value['message']) ?? textOf(value['Message']) ?? '');
  }

  /** A signed request in the gateway's own name. */
  fetch(service: string, path: string, init: RequestInit & { body?: string }): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.pretendTls) headers.set('x-forwarded-proto', 'https');
    return this.#signer.fetch(new URL(path, this.#target()).href, { ...init, headers, aws: { service } });
  }

  close(): void {
    this.#agent.destroy();
  }

  #target(): URL {
    if (this.#url === undefined) throw new Error('MiniStack is not up yet');
    return this.#url;
  }
}

class StaleSocket extends Error {}

/** Reads an answer of MiniStack to its end. */
export async function wholeAnswer(incoming: IncomingMessage): Promise<WireAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return {
    status: incoming.statusCode ?? 502,
    headers: answerHeaders(incoming),
    body: Buffer.concat(chunks),
  };
}

/** The headers of an answer without those of its connection. */
export function answerHeaders(incoming: IncomingMessage): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value === undefined || hopByHop.has(name) || name === 'transfer-encoding') continue;
    headers[name] = value;
  }
  return headers;
}

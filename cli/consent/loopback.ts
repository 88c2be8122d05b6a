import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '../failure.ts';
import { unhappy } from './request.ts';

const HOST = '127.0.0.1';
const PATH = '/callback';

/** What came back is somebody else's (undefined), ours, or ends the wait (thrown). */
type Read = (params: URLSearchParams) => string | undefined;

/** An address on loopback at which a browser comes back with a code (RFC 8252, 7.3). */
export class Loopback implements AsyncDisposable {
  readonly #server: Server;
  #read: Read | undefined;
  #settle: ((code: string) => void) | undefined;
  #fail: ((failure: unknown) => void) | undefined;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  /** @throws Failure where the port is taken */
  static async listen(port: number): Promise<Loopback> {
    const loopback = new Loopback();
    await new Promise<void>((resolve, reject) => {
      loopback.#server.once('error', (cause) => {
        reject(
          new Failure('ERR_REQUEST', `port ${port} of ${HOST} can't be listened at`, {
            field: '--port',
            remedy: 'another `rekey connect` may be waiting there: end it, or name another port',
            cause,
          }),
        );
      });
      loopback.#server.listen(port, HOST, resolve);
    });
    return loopback;
  }

  get redirectUri(): string {
    return `http://${this.#authority}${PATH}`;
  }

  get #authority(): string {
    return `${HOST}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits for the code that `read` finds. @throws Failure after `timeoutMs`, and what `read` throws */
  async code(read: Read, timeoutMs: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#read = read;
        this.#settle = resolve;
        this.#fail = reject;
        timer = setTimeout(() => {
          reject(unhappy(`nobody has consented within ${timeoutMs / 1000} s`));
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      this.#read = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The browser gets its page first.
    this.#server.closeIdleConnections();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const limit = setTimeout(() => this.#server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(limit);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    // A name that leads here is how a page on the internet would reach it (DNS rebinding).
    const isHere = request.headers.host === this.#authority;
    const target = request.url ?? '/';
    // What is no address, as `//`, would end the command where it throws.
    const url =
      isHere && URL.canParse(target, this.redirectUri) ? new URL(target, this.redirectUri) : undefined;
    if (request.method !== 'GET' || url?.pathname !== PATH)
      return say(response, 404, 'There is nothing here.');
    if (this.#read === undefined) return say(response, 410, 'Nobody waits for this any more.');
    try {
      const code = this.#read(url.searchParams);
      if (code === undefined) return say(response, 400, 'This is not what rekey connect waits for.');
      say(response, 200, 'The consent has arrived: go back to the terminal. You can close this page.');
      this.#settle?.(code);
    } catch (error) {
      say(response, 400, 'There is no consent: the terminal says why. You can close this page.');
      this.#fail?.(error);
    }
  }
}

function say(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    })
    .end(`${text}\n`);
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { APIGatewayProxyStructuredResultV2 as ApiResponse } from 'aws-lambda';
import type { SignRequest } from '../../client/src/agent/api.ts';
import type { CertificatesOptions } from '../../client/src/tls.ts';
import { answer as issue } from '../../lambdas/issue-certificates/route.ts';
import { answer as serve } from '../../lambdas/serve-directory/routes.ts';
import { eventOf } from '../unit/api/fakes.ts';
import { CALLER } from './agent-api.ts';
import { SET, type IssuingWorld } from './issuing.ts';

/** Requests are signed by naming the caller; the real signature is tested with the agent API. */
const sign: SignRequest = async ({ headers }) => Promise.resolve({ ...headers, 'x-caller': CALLER });

/** What becomes of requests to one half of the server. */
export interface Trouble {
  /** Answered with this status, or processed and never answered. */
  readonly kind: number | 'lose-answer';
  /** So many times; for ever where nothing is said. */
  times?: number;
}

/** The route that issues certificates, and the directory with the bundle, at an address. */
export class IssuingServer implements AsyncDisposable {
  readonly world: IssuingWorld;
  /** Bodies of requests for certificates. */
  readonly asked: { readonly csr: string }[] = [];
  /** Answers of the directory, by status. */
  readonly read: number[] = [];
  trouble: { certificates?: Trouble | undefined; bundles?: Trouble | undefined } = {};
  /** Changes what is answered. */
  tamper: ((body: Record<string, unknown>) => Record<string, unknown>) | undefined;
  readonly #server: Server;

  private constructor(world: IssuingWorld) {
    this.world = world;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(world: IssuingWorld): Promise<IssuingServer> {
    const served = new IssuingServer(world);
    await new Promise<void>((resolve) => served.#server.listen(0, '127.0.0.1', resolve));
    return served;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Options of certificates from here. */
  get options(): CertificatesOptions {
    return { api: this.url, directory: this.url, credential: 'shop-ca', set: SET, sign };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = request;
    const half = path === '/certificates' ? 'certificates' : 'bundles';
    const kind = this.#troubleOf(half);
    // The clock of the server is that of its world.
    response.setHeader('date', new Date(this.world.now).toUTCString());
    if (typeof kind === 'number') return void response.writeHead(kind).end();
    let raw = '';
    for await (const chunk of request) raw += String(chunk);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const caller = headers['x-caller'] ?? (headers['authorization'] === undefined ? null : CALLER);
    const event = eventOf(method, path, { raw, headers, caller });
    const answered = await this.#handled(half, event);
    if (kind === 'lose-answer') return void request.socket.destroy();
    response
      .writeHead(answered.statusCode ?? 500, answered.headers as Record<string, string>)
      .end(answered.body);
  }

  async #handled(half: 'certificates' | 'bundles', event: ReturnType<typeof eventOf>): Promise<ApiResponse> {
    const { world } = this;
    if (half === 'bundles') {
      const { response } = await serve(event, {
        directory: world.directory,
        revocations: world.revocations,
        clock: () => world.now,
        statuses: async () => Promise.reject(new Error('nobody asks for the status of a certificate')),
      });
      this.read.push(response.statusCode ?? 0);
      return response;
    }
    this.asked.push(JSON.parse(event.body ?? '{}') as { csr: string });
    const { response } = await issue(event, world.deps);
    if (this.tamper === undefined || response.statusCode !== 201) return response;
    const body = JSON.parse(response.body ?? '{}') as Record<string, unknown>;
    return { ...response, body: JSON.stringify(this.tamper(body)) };
  }

  #troubleOf(half: 'certificates' | 'bundles'): Trouble['kind'] | undefined {
    const trouble = this.trouble[half];
    if (trouble?.times === undefined) return trouble?.kind;
    if (trouble.times <= 0) return undefined;
    trouble.times--;
    return trouble.kind;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { CALLER, type AgentApiWorld } from '../support/agent-api.ts';

/** What the server does with calls. */
export type ApiMode = 'up' | 'down' | 'hangs' | 'garbage';

/** A call as it came in. */
export interface SeenCall {
  readonly method: string;
  /** The last part of the path, e.g. `heartbeat`. */
  readonly what: string;
  readonly body: Record<string, unknown>;
  /** The payload of what is signed in it. */
  readonly signed: Record<string, unknown>;
  readonly status: number;
}

interface Operation {
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;
interface Schema {
  readonly properties?: Readonly<Record<string, { readonly contentSchema?: object }>>;
}
interface Published {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: object;
}

/** The routes of the agent API over HTTP, each call and answer held to docs/agent-api.openapi.json. */
export class AgentServer implements AsyncDisposable {
  readonly world: AgentApiWorld;
  readonly calls: SeenCall[] = [];
  /** What didn't have the published form. */
  readonly violations: string[] = [];
  /** How calls were signed: nobody checks that here. */
  readonly signatures: string[] = [];
  mode: ApiMode = 'up';
  /** Answers to these are lost, once each: the call is done all the same. */
  readonly lost = new Set<string>();
  caller = CALLER;
  readonly #server: Server;
  readonly #document: Published;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });

  constructor(world: AgentApiWorld) {
    this.world = world;
    const path = new URL('../../docs/agent-api.openapi.json', import.meta.url);
    const published = readFileSync(path, 'utf8').replaceAll('"#/components/', '"api#/components/');
    this.#document = JSON.parse(published) as Published;
    this.#ajv.addSchema({ $id: 'api', components: this.#document.components });
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The calls of one kind. */
  of(what: string): readonly SeenCall[] {
    return this.calls.filter((call) => call.what === what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = request;
    const sent = await text(request);
    this.signatures.push(request.headers.authorization ?? '');
    const what = path.split('/').at(-1) ?? '';
    if (this.mode === 'hangs') return;
    response.setHeader('date', new Date(this.world.now).toUTCString());
    if (this.mode === 'down') return void response.writeHead(503).end('Service Unavailable');
    if (this.mode === 'garbage') return void response.writeHead(200).end('<html>');
    const body = sent === '' ? undefined : (JSON.parse(sent) as Record<string, unknown>);
    const operation = this.#operationOf(method, path);
    const form = operation?.requestBody?.content['application/json']?.schema;
    this.#hold(`${method} ${path}`, form, body);
    const signed = this.#signedIn(`${method} ${path}`, form, body);
    const tag = request.headers['if-none-match'];
    const options = { caller: this.caller, headers: tag === undefined ? {} : { 'if-none-match': tag } };
    const answered = await this.world.call(method, decodeURIComponent(path), body, options);
    this.calls.push({ method, what, body: body ?? {}, signed, status: answered.status });
    const content = Object.values(operation?.responses[answered.status]?.content ?? {})[0];
    this.#hold(`${answered.status} of ${method} ${path}`, content?.schema, answered.body);
    if (this.lost.delete(what)) return void request.socket.destroy();
    const headers = Object.fromEntries(
      Object.entries(answered.headers).map(([name, value]) => [name, String(value)]),
    );
    response.writeHead(answered.status, headers);
    response.end(answered.status === 304 ? undefined : JSON.stringify(answered.body));
  }

  #operationOf(method: string, path: string): Operation | undefined {
    const parts = path.split('/').length;
    const found = Object.entries(this.#document.paths).find(
      ([template]) =>
        template.split('/').length === parts &&
        template.split('/').every((part, at) => part.startsWith('{') || part === path.split('/')[at]),
    );
    return found?.[1][method.toLowerCase()];
  }

  /** The payload of the JWS in a body, held to the form that is published with its field. */
  #signedIn(about: string, form: Schema | undefined, body: Record<string, unknown> = {}): SeenCall['signed'] {
    for (const [field, { contentSchema }] of Object.entries(form?.properties ?? {})) {
      const jws = body[field];
      if (contentSchema === undefined || typeof jws !== 'string') continue;
      const parts = jws.split('.').slice(0, 2);
      const [header, payload] = parts.map(
        (part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>,
      );
      this.#hold(`${about}: what is signed`, contentSchema, [header, payload]);
      return payload ?? {};
    }
    return {};
  }

  #hold(about: string, schema: object | undefined, value: unknown): void {
    if (schema === undefined) return;
    const validate = this.#ajv.compile(schema);
    if (!validate(value)) this.violations.push(`${about}: ${this.#ajv.errorsText(validate.errors)}`);
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';
import { exchange } from '../../shared/http/exchange.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const READY_LIMIT_MS = 60_000;
/** Type of the answers that Prism itself gives. */
const BY_PRISM = 'https://stoplight.io/prism/errors#';

/** Where the specifications of providers lie on this machine; they are not in the repository. */
export function specPath(name: string): string {
  return join(process.env['REKEY_SPECS'] ?? join(ROOT, '..', 'shared', 'specs'), name);
}

interface Checker {
  readonly url: URL;
  readonly knows: (path: string) => boolean;
  readonly process: ChildProcess;
}

/**
 * Stands between a provider and its fake: requests and answers are held against the provider's specifications by Prism
 * (`prism proxy --errors`). What no specification describes goes straight to the fake.
 */
export class SpecProxy implements AsyncDisposable {
  /** What a specification didn't allow. */
  readonly violations: string[] = [];
  /** How many exchanges were held against one. */
  checked = 0;
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #checkers: readonly Checker[];

  private constructor(upstream: URL, checkers: readonly Checker[]) {
    this.#upstream = upstream;
    this.#checkers = checkers;
    this.#server = createServer((request, response) => {
      this.#pass(request, response).catch(() => response.destroy());
    });
  }

  /** `upstream` is the base address of the fake, with its path. */
  static async start(specs: readonly string[], upstream: string): Promise<SpecProxy> {
    const checkers = await Promise.all(specs.map(async (name) => startPrism(specPath(name), upstream)));
    const proxy = new SpecProxy(new URL(upstream), checkers);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** The base address for the provider. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}${this.#prefix}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await Promise.all(
      this.#checkers.map(async ({ process: prism }) => {
        if (prism.exitCode === null && prism.kill()) await once(prism, 'exit');
      }),
    );
  }

  get #prefix(): string {
    return this.#upstream.pathname.replace(/\/$/, '');
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = '', method = '' } = request;
    const below = path.slice(this.#prefix.length);
    const checker = this.#checkers.find(({ knows }) => knows(below.split('?')[0] ?? ''));
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers;
    const answer = await exchange(
      checker?.url ?? this.#upstream,
      {
        method,
        path: checker === undefined ? path : below,
        headers: headers as Record<string, string>,
        body: await text(request),
      },
      { timeoutMs: 30_000 },
    );
    if (checker !== undefined) this.checked++;
    if (answer.text.includes(BY_PRISM)) this.violations.push(`${method} ${path}: ${answer.text}`);
    const { 'content-type': type = 'application/json', 'retry-after': wait } = answer.headers;
    const others = wait === undefined ? {} : { 'retry-after': wait };
    response.writeHead(answer.status, { 'content-type': type, ...others }).end(answer.text);
  }
}

/** Prism over one specification, in front of `upstream`. */
async function startPrism(spec: string, upstream: string): Promise<Checker> {
  const cli = createRequire(import.meta.url).resolve('@stoplight/prism-cli');
  const args = ['proxy', spec, upstream, '--errors', '--host', '127.0.0.1', '--port', '0'];
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (problem: string): void => {
      child.kill();
      reject(new Error(`Prism ${problem}: ${output.slice(-1000)}`));
    };
    const limit = setTimeout(() => fail('does not start'), READY_LIMIT_MS);
    child.once('exit', () => fail('has ended'));
    child.once('error', reject);
    child.stdout.on('data', (chunk: Buffer) => {
      output = `${output}${chunk.toString()}`.slice(-20_000);
      const [, url] = /listening on (http:\S+)/.exec(output) ?? [];
      if (url === undefined) return;
      clearTimeout(limit);
      resolve({ url: new URL(url), knows: pathsOf(spec), process: child });
    });
  });
}

/** Whether a specification describes a path. JSON is YAML too. */
function pathsOf(spec: string): (path: string) => boolean {
  const { paths } = parse(readFileSync(spec, 'utf8')) as { paths: Record<string, unknown> };
  const forms = Object.keys(paths).map(
    (path) =>
      new RegExp(`^${path.replace(/[.+*?^$()|[\]\\]/g, String.raw`\$&`).replace(/\{[^}]+\}/g, '[^/]+')}$`),
  );
  return (path) => forms.some((form) => form.test(path));
}

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from '../../lambdas/serve-directory/routes.ts';
import type { DirectorySet, SetRef } from '../../shared/domain/directory.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Leaf } from '../../shared/domain/leaf.ts';
import { CertificateStatuses } from '../../shared/engine/certificates/status.ts';
import type { RevocationList } from '../../shared/domain/revocations.ts';
import type { Revocations } from '../../shared/ports/revocations.ts';
import type { Signer } from '../../shared/ports/signer.ts';
import type { Directory, SealedPart } from '../../shared/ports/directory.ts';
import type { IdentityReach, ProviderContext } from '../../shared/providers/provider.ts';
import { eventOf } from '../unit/api/fakes.ts';
import { MemorySealer } from './agent-parts.ts';

type Calls = keyof Directory;

/** What becomes of a call: it never arrives, or its answer never comes. */
export interface DirectoryFault {
  /** Number of the call from now, from 1. */
  readonly at: number;
  readonly mode: 'before' | 'lost';
}

/** The directory in memory, held to the same contract as that in DynamoDB; single calls of it can be made to fail. */
export class MemoryDirectory implements Directory {
  readonly sets = new Map<string, DirectorySet>();
  readonly parts = new Map<string, string>();
  /** Calls since the fault was armed. */
  readonly calls: Calls[] = [];
  #fault: DirectoryFault | undefined;

  /** Lets a call go wrong; without one, counts anew. */
  arm(fault?: DirectoryFault): void {
    this.calls.length = 0;
    this.#fault = fault;
  }

  read({ kind, name }: SetRef): Promise<DirectorySet | undefined> {
    return this.#call('read', () => this.sets.get(`${kind}/${name}`));
  }

  write(
    set: DirectorySet,
    { keep = [], drop = [] }: { keep?: readonly SealedPart[]; drop?: readonly string[] } = {},
  ): Promise<DirectorySet> {
    return this.#call('write', () => {
      const place = `${set.kind}/${set.name}`;
      if ((this.sets.get(place)?.version ?? 0) !== set.version) {
        throw new RekeyError('ERR_CONFLICT', `${place} was written meanwhile`);
      }
      const next = { ...set, version: set.version + 1 };
      this.sets.set(place, structuredClone(next));
      for (const { id, text } of keep) this.parts.set(`${place}/${id}`, text);
      for (const id of drop) this.parts.delete(`${place}/${id}`);
      return next;
    });
  }

  sealed({ kind, name }: SetRef, id: string): Promise<string | undefined> {
    return this.#call('sealed', () => this.parts.get(`${kind}/${name}/${id}`));
  }

  async #call<T>(name: Calls, work: () => T): Promise<T> {
    this.calls.push(name);
    const fault = this.#fault?.at === this.calls.length ? this.#fault : undefined;
    if (fault?.mode === 'before') throw gone();
    const done = work();
    if (fault?.mode === 'lost') throw gone();
    return Promise.resolve(structuredClone(done));
  }
}

function gone(): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', 'dynamodb did not answer');
}

/** Revocation lists in memory, held to the same contract as those in DynamoDB. */
export class MemoryRevocations implements Revocations {
  readonly lists = new Map<string, RevocationList>();

  async read(set: string, authority: string): Promise<RevocationList | undefined> {
    return Promise.resolve(structuredClone(this.lists.get(`${set}#${authority}`)));
  }

  async write(list: RevocationList): Promise<RevocationList> {
    const place = `${list.set}#${list.authority}`;
    if ((this.lists.get(place)?.version ?? 0) !== list.version) {
      throw new RekeyError('ERR_CONFLICT', `the list of ${list.authority} was written meanwhile`);
    }
    const next = { ...list, version: list.version + 1 };
    this.lists.set(place, structuredClone(next));
    return Promise.resolve(next);
  }
}

function unset(): never {
  throw new Error('nothing is to be signed here');
}

/** A directory with the function that shows it, at an address of its own. */
export class ServedDirectory implements AsyncDisposable {
  readonly directory = new MemoryDirectory();
  readonly sealer = new MemorySealer();
  /** Requests that were answered, by method and path. */
  readonly asked: string[] = [];
  /** What is answered instead, while it is set: a status, or nothing for so many milliseconds. */
  trouble: { readonly status?: number; readonly delayMs?: number } | undefined;
  /** What an answer that is made already waits for, and what lets it go. */
  hold: Promise<void> | undefined;
  letGo: () => void = () => undefined;
  /** The function's clock. */
  clock = Date.now;
  /** Certificates that were issued, by set, authority and serial number. */
  readonly leaves = new Map<string, Leaf>();
  /** What is revoked of them. */
  readonly revocations = new MemoryRevocations();
  /** What tells of them. */
  statusSigner: Signer | undefined;
  readonly #statuses = new CertificateStatuses({
    leaves: {
      bySerial: async (...place) => Promise.resolve(this.leaves.get(place.join('#'))),
    },
    revocations: this.revocations,
    signer: {
      algorithm: 'ECDSA-P256-SHA256',
      publicKey: async () => (this.statusSigner ?? unset()).publicKey(),
      sign: async (bytes) => (this.statusSigner ?? unset()).sign(bytes),
    },
    clock: () => this.clock(),
  });
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void (async () => {
        const { method = 'GET', url: path = '/' } = request;
        this.asked.push(`${method} ${path}`);
        const { status, delayMs = 0 } = this.trouble ?? {};
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
        if (status !== undefined) return response.writeHead(status).end();
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const body = Buffer.concat(chunks).toString('base64');
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        );
        const { response: answered } = await answer(
          eventOf(method, path, { raw: body, base64: true, headers }),
          {
            directory: this.directory,
            revocations: this.revocations,
            clock: () => this.clock(),
            statuses: async () => Promise.resolve(this.#statuses),
          },
        );
        await this.hold;
        const sent = Object.fromEntries(
          Object.entries(answered.headers ?? {}).map(([name, value]) => [name, String(value)]),
        );
        return response
          .writeHead(answered.statusCode ?? 500, sent)
          .end(Buffer.from(answered.body ?? '', answered.isBase64Encoded === true ? 'base64' : 'utf8'));
      })();
    });
  }

  static async start(): Promise<ServedDirectory> {
    const served = new ServedDirectory();
    await new Promise<void>((resolve) => served.#server.listen(0, '127.0.0.1', resolve));
    return served;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The context of a provider on this directory. */
  context(clock: () => number = Date.now): ProviderContext {
    const { directory, sealer, revocations, url } = this;
    const leaves: IdentityReach['leaves'] = {
      record: async (set, leaf) => {
        this.leaves.set(`${set}#${leaf.authority}#${leaf.serial}`, leaf);
        return Promise.resolve();
      },
    };
    const identities = { directory, sealer, leaves, revocations, stage: 'test', url };
    return {
      clock,
      reach: { privateHosts: [], identities },
      admin: async () => Promise.reject(new Error('no administrative login is needed')),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

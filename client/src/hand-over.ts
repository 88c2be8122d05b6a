import type { FailureTest } from './authentication.ts';
import type { CredentialSource } from './credential-source.ts';
import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';

/** What a driver's pool can do. */
export interface PoolKind<Pool, Connection> {
  /** A pool that logs in with the credential; it connects when it is asked to. */
  open(credential: Credential): Pool;
  connect(pool: Pool): Promise<Connection>;
  /** Gives a connection back; `failed` where its state is uncertain. */
  release(connection: Connection, failed: boolean): void;
  end(pool: Pool): Promise<void>;
  /** What counts as a refusal of the login; the source's own test where it isn't given. */
  readonly isFailure?: FailureTest | undefined;
}

/** A pool and who uses it. */
interface Held<Pool> {
  readonly versionId: string;
  readonly pool: Pool;
  leases: number;
  /** What waits for its end; present once it is retired. */
  retired?: { readonly ended: Promise<void>; readonly end: () => void };
}

/**
 * A pool for each version of a login. A swap opens the next one and retires the one before: who has a connection keeps
 * it, nobody gets a new one, and with the last one given back the pool ends. Only logging in is ever repeated, so no
 * statement runs twice.
 */
export class HandOver<Pool, Connection> implements AsyncDisposable {
  readonly #source: CredentialSource;
  readonly #kind: PoolKind<Pool, Connection>;
  readonly #pools: Map<string, Held<Pool>> = new Map();
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor(source: CredentialSource, kind: PoolKind<Pool, Connection>) {
    this.#source = source;
    this.#kind = kind;
    // The swap counts as done when nothing of this process is logged in with the old one.
    this.#unsubscribe = source.on('swap', ({ next }) => this.#retireBut([next.versionId]));
  }

  /** Runs `work` on a connection that is given back afterwards. */
  async with<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const { held, connection } = await this.#connect();
    let failed = true;
    try {
      const result = await work(connection);
      failed = false;
      return result;
    } finally {
      this.#kind.release(connection, failed);
      this.#giveBack(held);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await this.#retireBut([]);
  }

  async #connect(): Promise<{ held: Held<Pool>; connection: Connection }> {
    const lease = await this.#source.use(async (credential) => {
      const held = this.#poolOf(credential);
      held.leases++;
      try {
        return { held, connection: await this.#kind.connect(held.pool) };
      } catch (error) {
        this.#giveBack(held);
        throw error;
      }
    }, this.#kind.isFailure);
    // What a passing fallback has opened is not needed any more.
    if (this.#pools.size > 1) {
      void this.#retireBut([lease.held.versionId, this.#source.current().versionId]);
    }
    return lease;
  }

  #poolOf(credential: Credential): Held<Pool> {
    if (this.#closed) throw new CredentialError('ERR_CLOSED', 'the pool is closed');
    const { versionId } = credential;
    let held = this.#pools.get(versionId);
    if (held === undefined) {
      held = { versionId, pool: this.#kind.open(credential), leases: 0 };
      this.#pools.set(versionId, held);
    }
    return held;
  }

  #giveBack(held: Held<Pool>): void {
    held.leases--;
    if (held.leases === 0) held.retired?.end();
  }

  /** Retires all pools but those of `versionIds`; settles when they have ended. */
  async #retireBut(versionIds: readonly string[]): Promise<void> {
    const leaving = [...this.#pools.values()].filter(({ versionId }) => !versionIds.includes(versionId));
    await Promise.all(leaving.map((held) => this.#retire(held)));
  }

  #retire(held: Held<Pool>): Promise<void> {
    this.#pools.delete(held.versionId);
    let end = (): void => undefined;
    const unused = new Promise<void>((resolve) => {
      end = resolve;
    });
    // A pool that can't even end has no connection that could be used.
    const ended = unused.then(() => this.#kind.end(held.pool)).catch(() => undefined);
    held.retired = { ended, end };
    if (held.leases === 0) end();
    return ended;
  }
}

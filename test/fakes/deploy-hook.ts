import { createHash } from 'node:crypto';
import { bearerOf, FakeKeys, type Asked, type FakeKey, type Reply } from './upstream.ts';

const PATH = /^\/hook\/keys(?:\/([^/]+))?$/;

/** A key as the hook was given it: by its value, or by the SHA-256 alone. */
interface Deployed {
  readonly access: string;
  readonly sha256: string;
  readonly value: string | undefined;
}

/** What a server takes since it was started last: how much each key may do, by its SHA-256. */
export type Configuration = ReadonlyMap<string, Deployed>;

/**
 * An operator's deploy hook (docs/deploy-hook.md) and what it deploys: a server takes keys from the configuration with which it
 * was started, and is started again some time after it was asked for.
 */
export class FakeDeployHook {
  readonly token = 'deploy-hook-token-0123456789abcdefghij';
  readonly seed = 'seed-of-all-keys-0123456789abcdefghij';
  /** The keys that the hook lists. */
  readonly keys: FakeKeys = new FakeKeys();
  /** How many keys the server has places for. */
  places = Infinity;
  /** How long a deployment takes; 0: it is done when the hook answers. */
  restartMs = 0;
  /** How often the server was started again. */
  restarts = 0;
  /** Where no key is left it lets nobody in, by one that nobody has; else the server would be open. */
  locks = true;
  /** It gives every key all rights, whatever it is asked for. */
  ignoresAccess = false;
  readonly #given: Map<string, Deployed> = new Map();
  readonly #ending: Set<string> = new Set();
  readonly #start: (configuration: Configuration) => void;
  #running: ReadonlySet<string> = new Set();

  /** `start` starts the server again. */
  constructor(start: (configuration: Configuration) => void) {
    this.#start = start;
  }

  /** The administrative secret, as far as it is about the hook. */
  admin(url: string): { hookUrl: string; hookToken: string; keySeeds: string[] } {
    return { hookUrl: `${url}/hook`, hookToken: this.token, keySeeds: [this.seed] };
  }

  /** A key that a person has put into the configuration. */
  addForeign(name: string): FakeKey {
    const value = `foreign-${this.keys.all.size}-0123456789`;
    const key = this.keys.add('hook', name, '', `${name}_${this.keys.all.size}`);
    this.#given.set(key.id, { access: 'manage', sha256: sha256Of(value), value });
    this.#restart();
    return key;
  }

  /** The answer to what is asked of the hook; undefined where it is the server that is asked. */
  answer(asked: Asked): Reply | undefined {
    if (!asked.path.startsWith('/hook/')) return undefined;
    if (bearerOf(asked) !== this.token) return refusal(401);
    const [path, part] = PATH.exec(asked.path) ?? [];
    if (path === undefined) return refusal(404);
    const { method } = asked;
    if (part === undefined) return method === 'GET' ? this.list() : refusal(405);
    const id = decodeURIComponent(part);
    if (method === 'PUT') return this.put(id, asked.body);
    if (!this.keys.all.has(id)) return refusal(404);
    if (method === 'DELETE') {
      this.#ending.add(id);
      this.#restart();
      return { status: 202, body: { id } };
    }
    return { status: 200, body: this.shown(id) };
  }

  /** What a key may do at the server; undefined where it is refused. */
  use(value: string | undefined): string | undefined {
    const key = this.#keyOf(value ?? '');
    if (key === undefined || this.isSpreading(value ?? '')) return undefined;
    return this.#given.get(key.id)?.access;
  }

  /** Whether a use of a key comes too early for one of the nodes. */
  isSpreading(value: string): boolean {
    const key = this.#keyOf(value);
    return key !== undefined && key.refusals-- > 0;
  }

  private list(): Reply {
    const keys = [...this.keys.all.keys()].map((id) => this.shown(id));
    return { status: 200, body: { keys, ...(this.places === Infinity ? {} : { places: this.places }) } };
  }

  private put(id: string, body: unknown): Reply {
    const { name = '', access = '', sha256 = '', value } = (body ?? {}) as Record<string, string>;
    const isValid = name !== '' && access !== '' && (value === undefined || sha256Of(value) === sha256);
    if (!isValid || !/^[0-9a-f]{64}$/.test(sha256)) return refusal(400);
    if (!this.keys.all.has(id)) {
      if (this.keys.all.size >= this.places) return { status: 409, body: { error: 'full' } };
      this.keys.add('hook', name, '', id);
      this.#given.set(id, { access: this.ignoresAccess ? 'manage' : access, sha256, value });
    }
    this.#restart();
    return { status: 202, body: this.shown(id) };
  }

  private shown(id: string): object {
    const { name = '' } = this.keys.all.get(id) ?? {};
    const { access = '', sha256 = '' } = this.#given.get(id) ?? {};
    return { id, name, access, sha256, deployed: this.#running.has(id) && !this.#ending.has(id) };
  }

  /** The key of that value, where the server was started with it. */
  #keyOf(value: string): FakeKey | undefined {
    const sum = sha256Of(value);
    const id = [...this.#running].find((each) => this.#given.get(each)?.sha256 === sum);
    return this.keys.all.get(id ?? '');
  }

  #restart(): void {
    if (this.restartMs === 0) return this.#apply();
    setTimeout(() => this.#apply(), this.restartMs).unref();
  }

  #apply(): void {
    for (const id of this.#ending) {
      this.keys.all.delete(id);
      this.#given.delete(id);
    }
    this.#ending.clear();
    this.#running = new Set(this.keys.all.keys());
    this.restarts++;
    this.#start(new Map(this.#given));
  }
}

/** How a list of tokens has them. */
export function sha256Of(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

function refusal(status: number): Reply {
  // Whoever writes a hook may quote what it was sent; nothing of it may come out at the other end.
  return { status, body: { error: 'not for hook-token-quoted-by-the-upstream' } };
}

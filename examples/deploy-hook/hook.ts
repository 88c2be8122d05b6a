import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/** A key as Rekey gives it. `value` is there for servers that need it, `sha256` (in hex) for those that need no more. */
export interface Key {
  readonly id: string;
  readonly name: string;
  readonly access: string;
  readonly sha256: string;
  readonly value?: string;
}

/** A key with the deployments that bring it and take it away. */
type Kept = Key & { readonly since: number; readonly until?: number };

/** What one server needs of its hook. */
export interface HookOptions {
  /** What Rekey sends as `Authorization: Bearer …`. */
  readonly token: string;
  /** Where the keys are kept; it holds secrets. */
  readonly file: string;
  /** How many keys the server has places for; absent: any number. */
  readonly places?: number;
  /** Whether the server needs the values of its keys; one that compares hashes doesn't. */
  readonly needsValue?: boolean;
  /**
   * Starts every node with these keys and no other, and answers once no older one runs. With no key at all everybody has to be
   * refused. What it throws is tried again with the next request.
   */
  readonly deploy: (keys: readonly Key[]) => Promise<void>;
}

/**
 * The deploy hook of docs/deploy-hook.md. Keys are kept before anything is deployed, and deployments follow one another; so it
 * may die at any time and be asked anything again.
 */
export function deployHook({ token, file, places = Infinity, needsValue = false, deploy }: HookOptions) {
  const { wanted: kept = 0, keys: before = [] } = read(file);
  const keys = new Map<string, Kept>(before.map((key) => [key.id, key]));
  let wanted = kept;
  let deployed = 0;
  let running = false;

  const shown = ({ id, name, access, sha256, since, until }: Kept): object => ({
    id,
    name,
    access,
    sha256,
    deployed: until === undefined && since <= deployed,
  });

  function keep(key: Kept): void {
    keys.set(key.id, key);
    // Whoever reads the file in between sees all of it, before or after.
    writeFileSync(`${file}.next`, JSON.stringify({ wanted, keys: [...keys.values()] }), { mode: 0o600 });
    renameSync(`${file}.next`, file);
  }

  async function roll(): Promise<void> {
    if (running || deployed >= wanted) return;
    running = true;
    try {
      while (deployed < wanted) {
        const goal = wanted;
        await deploy([...keys.values()].filter(({ until }) => until === undefined));
        deployed = goal;
        for (const { id, until = Infinity } of keys.values()) if (until <= deployed) keys.delete(id);
      }
    } finally {
      running = false;
    }
  }

  function answer(method: string, id: string | undefined, body: string): [number, object] {
    if (id === undefined) {
      const list = { keys: [...keys.values()].map(shown), ...(places === Infinity ? {} : { places }) };
      return method === 'GET' ? [200, list] : [405, { error: 'GET it' }];
    }
    const known = keys.get(id);
    if (method === 'PUT' && known === undefined) {
      const asked = keyIn(body, needsValue);
      if (typeof asked === 'string') return [400, { error: asked }];
      if (keys.size >= places) return [409, { error: 'full' }];
      const { name, access, sha256, value } = asked;
      wanted++;
      keep({ id, name, access, sha256, ...(value === undefined ? {} : { value }), since: wanted });
    } else if (known === undefined) {
      return [404, { error: 'no such key' }];
    } else if (method === 'DELETE' && known.until === undefined) {
      wanted++;
      keep({ ...known, until: wanted });
    }
    const key = keys.get(id);
    return [method === 'GET' ? 200 : 202, key === undefined ? {} : shown(key)];
  }

  return async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    try {
      const body = await text(request);
      if (!isSame(request.headers.authorization ?? '', `Bearer ${token}`))
        return send(401, { error: 'who?' });
      const [path, id] = /^\/keys(?:\/([^/?]+))?$/.exec(request.url ?? '') ?? [];
      if (path === undefined) return send(404, { error: 'no such path' });
      send(...answer(request.method ?? '', id === undefined ? undefined : decodeURIComponent(id), body));
      await roll();
    } catch (error) {
      console.error('the deployment has failed; it is tried again with the next request', error);
      if (!response.headersSent) send(500, { error: 'failed' });
    }
  };
}

/** The key of a request, or what is wrong with it: what is kept incomplete could be neither deployed nor compared. */
function keyIn(body: string, needsValue: boolean): Omit<Key, 'id'> | string {
  let given: Partial<Record<keyof Key, unknown>> | null;
  try {
    given = JSON.parse(body) as typeof given;
  } catch {
    return 'the body is no JSON';
  }
  const { name, access, sha256, value } = given ?? {};
  if (typeof name !== 'string' || name === '') return 'name is missing';
  if (typeof access !== 'string' || access === '') return 'access is missing';
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return 'sha256 is missing, or not in hex';
  if (value === undefined && !needsValue) return { name, access, sha256 };
  if (typeof value !== 'string' || value === '') return 'value is missing';
  const digest = createHash('sha256').update(value).digest('hex');
  return digest === sha256 ? { name, access, sha256, value } : 'sha256 is not that of value';
}

function read(file: string): { readonly wanted?: number; readonly keys?: readonly Kept[] } {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { wanted: number; keys: Kept[] };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

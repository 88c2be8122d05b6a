import { FakeKeys, type Asked, type FakeKey, type Reply } from './upstream.ts';

/** The console of an upstream without an API for keys: what a person does there, by a route of its own. */
export class KeyConsole {
  readonly keys: FakeKeys = new FakeKeys();
  /** What an operator has put into the pool of the administrative secret. */
  readonly pool: { id: string; value: string; inUse?: boolean }[] = [];
  /** Whose the keys are or were, by name. */
  readonly owners: Map<string, string> = new Map();
  readonly #prefix: string;
  #made = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Makes a key by hand; the pool doesn't know it. */
  mint(owner: string, name: string): FakeKey {
    this.owners.set(name, owner);
    return this.keys.add(owner, name, this.#prefix);
  }

  /** Makes keys by hand and puts them into the pool. */
  fill(owner: string, count: number): FakeKey[] {
    const made = Array.from({ length: count }, () => this.mint(owner, `${owner}-${++this.#made}`));
    this.pool.push(...made.map(({ name, value }) => ({ id: name, value })));
    return made;
  }

  /** The key that is called so. */
  named(name: string): FakeKey | undefined {
    return [...this.keys.all.values()].find((key) => key.name === name);
  }

  /** What a person deletes there: `DELETE /console/keys/NAME`; undefined for every other request. */
  answer({ method, path }: Asked): Reply | undefined {
    const [, name] = /^\/console\/keys\/([^/]+)$/.exec(path) ?? [];
    if (method !== 'DELETE' || name === undefined) return undefined;
    return this.delete(decodeURIComponent(name))
      ? { status: 204 }
      : { status: 404, body: { message: 'there is no such key' } };
  }

  /** Deletes the key that is called so; false where there is none. */
  delete(name: string): boolean {
    const key = this.named(name);
    return key !== undefined && this.keys.all.delete(key.id);
  }
}

/** Names of the keys that a person is told to delete. */
export function toDelete(byHand: string): string[] {
  const names = [...byHand.matchAll(/delete the key "([^"]+)"/g)].map(([, name]) => name ?? '');
  if (names.length === 0) throw new Error(`nobody could follow "${byHand}"`);
  return names;
}

/** Deletes keys at the console as a person was told to. */
export async function deleteAtConsole(url: string, byHand: string): Promise<void> {
  for (const name of toDelete(byHand)) {
    const { status } = await fetch(`${url}/console/keys/${encodeURIComponent(name)}`, { method: 'DELETE' });
    if (status !== 204 && status !== 404) throw new Error(`the console answers ${status}`);
  }
}

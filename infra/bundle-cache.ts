import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a bundler has made, and of what. */
export interface Bundled {
  /** Code by file name. */
  readonly files: ReadonlyMap<string, string>;
  /** Every file that was read, relative to the root of the app. */
  readonly inputs: readonly string[];
}

/** How a bundle is stored. */
interface Stored {
  /** SHA-256 of every input. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
}

/** What decides over a bundle beside the files in it: the options, the packages that are installed, how imports are read. */
const ALWAYS = ['infra/bundle.ts', 'node_modules/.package-lock.json', 'package.json', 'tsconfig.json'];

/** By how much a file may seem older than it is. */
const CLOCK_MS = 1000;

/**
 * Bundles of earlier syntheses, in a folder of the checkout. One counts only while every file that it was made of has the
 * content that it had; what can't be read or compared is made anew. Processes may share the folder: a bundle replaces
 * another as a whole.
 */
export class BundleCache {
  readonly #root: string;
  readonly #isStored: boolean;
  readonly #folder: string;
  readonly #began = Date.now() - CLOCK_MS;
  readonly #hashes = new Map<string, string | undefined>();
  readonly #bundles = new Map<string, ReadonlyMap<string, string>>();

  /** `root` is the folder of the app; unless `isStored`, bundles live as long as the process. Sources are hashed once: they stay as they are while a process synthesises. */
  constructor(root: string, isStored = true) {
    this.#root = root;
    this.#isStored = isStored;
    this.#folder = join(root, '.cache', 'bundles');
  }

  /** The code of that name: as it is stored, or as `bundle` makes it. */
  get(name: string, bundle: () => Bundled): ReadonlyMap<string, string> {
    const found = this.#bundles.get(name) ?? this.#stored(name) ?? this.#made(name, bundle());
    this.#bundles.set(name, found);
    return found;
  }

  #stored(name: string): ReadonlyMap<string, string> | undefined {
    if (!this.#isStored) return undefined;
    try {
      const { inputs, files } = JSON.parse(readFileSync(this.#path(name), 'utf8')) as Stored;
      const same = Object.entries(inputs).every(([input, hash]) => this.#hash(input) === hash);
      return same ? new Map(Object.entries(files)) : undefined;
    } catch {
      return undefined;
    }
  }

  #made(name: string, { files, inputs }: Bundled): ReadonlyMap<string, string> {
    if (!this.#isStored) return files;
    const all = [...ALWAYS, ...inputs];
    const hashes = Object.fromEntries(all.map((input) => [input, this.#hash(input)]));
    if (all.every((input) => hashes[input] !== undefined && this.#isOld(input))) {
      const begun = `${this.#path(name)}.${randomUUID()}`;
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(begun, JSON.stringify({ inputs: hashes, files: Object.fromEntries(files) }));
      renameSync(begun, this.#path(name));
    }
    return files;
  }

  /** What was written since may have been bundled with another content than was hashed. */
  #isOld(input: string): boolean {
    return statSync(join(this.#root, input)).mtimeMs < this.#began;
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.json`);
  }

  #hash(input: string): string | undefined {
    if (!this.#hashes.has(input)) this.#hashes.set(input, contentHash(join(this.#root, input)));
    return this.#hashes.get(input);
  }
}

function contentHash(path: string): string | undefined {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return undefined;
  }
}

import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BundleCache, type Bundled } from '../../infra/bundle-cache.ts';
import { bundleEntry, bundleHandler } from '../../infra/bundle.ts';
import { readJson, root } from './app.ts';

/** What decides over a bundle whatever is in it. */
const ALWAYS = ['infra/bundle.ts', 'node_modules/.package-lock.json', 'package.json', 'tsconfig.json'];
const SOURCES = ['lambdas/one.ts', 'node_modules/library/index.js'];

describe('a cache of bundles', () => {
  let app: string;
  let bundled: number;
  beforeEach(() => {
    app = mkdtempSync(join(tmpdir(), 'rekey-cache-'));
    bundled = 0;
    for (const file of [...ALWAYS, ...SOURCES]) write(file, 'as it was');
  });
  afterEach(() => rmSync(app, { recursive: true, force: true }));

  /** Writes a file, so long ago that it was there before anything was bundled. */
  function write(file: string, content: string): void {
    mkdirSync(dirname(join(app, file)), { recursive: true });
    writeFileSync(join(app, file), content);
    utimesSync(join(app, file), 1, 1);
  }

  const bundle = (inputs: readonly string[] = SOURCES): Bundled => {
    bundled++;
    return { files: new Map([['index.js', `bundle ${bundled}`]]), inputs };
  };
  /** What another process gets, with a cache of its own. */
  const synthesised = (name = 'one', inputs = SOURCES): string | undefined =>
    new BundleCache(app).get(name, () => bundle(inputs)).get('index.js');

  it('has each made once, in one process and in the next', () => {
    const cache = new BundleCache(app);
    const [first, second] = [cache.get('one', bundle), cache.get('one', bundle)];
    expect([first.get('index.js'), second.get('index.js'), synthesised()]).toEqual(Array(3).fill('bundle 1'));
    expect(synthesised('two')).toBe('bundle 2');
  });

  it.each([...SOURCES, ...ALWAYS])('has it made again where %s has changed, and where it is gone', (file) => {
    synthesised();
    write(file, 'changed');
    expect([synthesised(), synthesised()]).toEqual(['bundle 2', 'bundle 2']);
    rmSync(join(app, file));
    // Nobody can say whether it has changed since: nothing is stored.
    expect([synthesised(), bundled]).toEqual(['bundle 3', 3]);
  });

  it('knows the content of a file, not its time', () => {
    synthesised();
    utimesSync(join(app, 'lambdas/one.ts'), 2, 2);
    expect(synthesised()).toBe('bundle 1');
  });

  it('keeps nothing that was made while a source was being written', () => {
    const cache = new BundleCache(app);
    cache.get('one', () => {
      const made = bundle();
      writeFileSync(join(app, 'lambdas/one.ts'), 'written after it was read');
      return made;
    });
    utimesSync(join(app, 'lambdas/one.ts'), 1, 1);
    expect(synthesised()).toBe('bundle 2');
  });

  it('has it made again where what is stored is torn', () => {
    synthesised();
    write('.cache/bundles/one.json', '{"inputs":{"lambdas/one.ts":');
    expect(synthesised()).toBe('bundle 2');
  });
});

describe('the bundle of a function', () => {
  it('is what esbuild makes now, whatever is stored', () => {
    const providers = join(root, 'shared/providers/types/agent-token.ts');
    const made = bundleEntry('lambdas/revoke/handler.ts', { splitting: true, providers });
    expect(bundleHandler('revoke-agent-token')).toEqual(made);
  });

  it('depends on every file that it has, and on none of another type', () => {
    bundleHandler('revoke-agent-token');
    const { inputs } = readJson<{ inputs: object }>(join(root, '.cache/bundles/revoke-agent-token.json'));
    expect(Object.keys(inputs)).toEqual(
      expect.arrayContaining([
        ...ALWAYS,
        'lambdas/revoke/handler.ts',
        'shared/providers/types/agent-token.ts',
        'shared/version.ts',
        'node_modules/zod/v4/core/core.js',
      ]),
    );
    expect(inputs).not.toHaveProperty(['shared/providers/types/database.ts']);
  });
});

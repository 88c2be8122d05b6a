import { basename, join } from 'node:path';
import { buildSync, transformSync, type Metafile } from 'esbuild';
import { typedFunction, type FunctionName } from '../shared/names.ts';
import { BundleCache, type Bundled } from './bundle-cache.ts';

const root = join(import.meta.dirname, '..');
const target = { platform: 'node', target: 'node24', minify: true } as const;

/** What is deployed to AWS is made of the sources each time; tests and the local stack, which synthesise often, ask for stored bundles. */
const cache = new BundleCache(root, process.env['REKEY_STORED_BUNDLES'] === '1');

/**
 * The code of a function as it is deployed, by file name: `index.js`, and what it imports only when it needs it. A function
 * of a type has the providers of that type only.
 */
export function bundleHandler(name: FunctionName): ReadonlyMap<string, string> {
  const { role = name, type = 'none' } = typedFunction(name) ?? {};
  const providers = join(root, `shared/providers/types/${type}.ts`);
  return cache.get(name, () => bundle(`lambdas/${role}/handler.ts`, { splitting: true, providers }));
}

interface BundleOptions {
  readonly splitting: boolean;
  readonly providers?: string;
}

/** Everything that an entry uses and nothing else. */
export function bundleEntry(
  entry: string,
  options: BundleOptions = { splitting: true },
): ReadonlyMap<string, string> {
  return bundle(entry, options).files;
}

/**
 * CommonJS, because it loads in half the time of an ES module of the same content; what is imported dynamically is in files
 * of its own, because parsing is half of what loading costs. esbuild splits ES modules only, hence the two passes.
 */
function bundle(entry: string, options: BundleOptions): Bundled {
  const result = buildSync({
    ...target,
    entryPoints: { index: entry },
    absWorkingDir: root,
    outdir: root,
    write: false,
    metafile: true,
    bundle: true,
    treeShaking: true,
    ...(options.providers === undefined ? {} : { alias: { '#providers': options.providers } }),
    splitting: options.splitting,
    format: 'esm',
    mainFields: ['module', 'main'],
    // Optional native driver of `pg`; it asks for it in a try block.
    external: ['pg-native'],
    legalComments: 'none',
    logLevel: 'silent',
  });
  if (result.warnings.length > 0) {
    throw new Error(`${entry}: ${result.warnings.map((warning) => warning.text).join('; ')}`);
  }
  const used = reachable(result.metafile.outputs, 'index.js');
  const files = result.outputFiles
    .map(({ path, text }) => [basename(path), text] as const)
    .filter(([file]) => used.has(file))
    .map(([file, text]) => [file, commonJs(text)] as const);
  return { files: new Map(files), inputs: Object.keys(result.metafile.inputs) };
}

/** `file` and what it imports: esbuild also writes files whose only importer was found to be unused. */
function reachable(outputs: Metafile['outputs'], file: string, found = new Set<string>()): Set<string> {
  if (outputs[file] === undefined || found.has(file)) return found;
  found.add(file);
  for (const { path } of outputs[file].imports) reachable(outputs, path, found);
  return found;
}

function commonJs(module: string): string {
  return transformSync(module, {
    ...target,
    format: 'cjs',
    // `import()` of a file of this bundle becomes a `require` behind a promise.
    supported: { 'dynamic-import': false },
    logLevel: 'silent',
  }).code;
}

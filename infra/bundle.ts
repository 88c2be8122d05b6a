import { join } from 'node:path';
import { buildSync } from 'esbuild';
import type { FunctionName } from '../shared/names.ts';

const root = join(import.meta.dirname, '..');

/**
 * The code of a function as it is deployed: one CommonJS file with everything that it uses and nothing else.
 * CommonJS because it loads in half the time of an ES module of the same content.
 */
export function bundleHandler(name: FunctionName): Uint8Array {
  const result = buildSync({
    absWorkingDir: root,
    entryPoints: [`lambdas/${name}/handler.ts`],
    outfile: 'index.js',
    write: false,
    bundle: true,
    minify: true,
    treeShaking: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    // Optional native driver of `pg`; it asks for it in a try block.
    external: ['pg-native'],
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [file] = result.outputFiles;
  if (result.warnings.length > 0 || file === undefined) {
    throw new Error(`lambdas/${name}: ${result.warnings.map((warning) => warning.text).join('; ')}`);
  }
  return file.contents;
}

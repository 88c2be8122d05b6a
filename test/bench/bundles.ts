import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleEntry, bundleHandler } from '../../infra/bundle.ts';
import { FUNCTIONS, typedFunction } from '../../shared/names.ts';
import { ratio, type Figures, type Goal } from './figures.ts';
import { interleaved, storeBundle, withFolder } from './processes.ts';

const ROUNDS = 15;
const PEER = 'of the all-in-one bundle';
const ROTATOR_GOAL: Goal = { is: 'at most', bound: 0.4 };

/**
 * Bytes and load time of each function against a bundle of everything, built by the same options. Everything that a
 * function has is loaded, also what it would load later.
 */
export function bundles(tell: (line: string) => void): Promise<Figures> {
  return withFolder(async (folder) => {
    const entry = join(folder, 'all-in-one.ts');
    await writeFile(entry, everything());
    const peer = await storeBundle(folder, 'all-in-one', bundleEntry(entry));
    const stored = await Promise.all(
      FUNCTIONS.map(async (name) => ({ name, bundle: await storeBundle(folder, name, bundleHandler(name)) })),
    );
    tell(`${ROUNDS} rounds of ${stored.length + 1} fresh processes`);
    const tasks = [peer, ...stored.map(({ bundle }) => bundle)].map((bundle) => ({ bundle, whole: true }));
    const [whole = Number.NaN, ...times] = await interleaved(tasks, ROUNDS, {});
    return Object.fromEntries(
      stored.flatMap(({ name, bundle }, at) => {
        const goal = typedFunction(name)?.role === 'rotate' ? { goal: ROTATOR_GOAL } : {};
        const load = (times[at] ?? Number.NaN) / whole;
        return [
          [`bundle bytes: ${name}`, ratio(bundle.bytes / peer.bytes, '×', PEER, goal)],
          [`bundle load: ${name}`, ratio(load, '×', PEER, goal)],
        ];
      }),
    );
  });
}

/** An entry that uses every library, every provider and every handler, which functions of a role share. */
function everything(): string {
  const root = join(import.meta.dirname, '..', '..');
  const handlers = new Set(
    FUNCTIONS.map((name) => `lambdas/${typedFunction(name)?.role ?? name}/handler.ts`),
  );
  const paths = ['test/bench/libraries-entry.ts', ...handlers];
  return paths
    .map((path, at) => `export * as part${at} from ${JSON.stringify(join(root, path))};`)
    .join('\n');
}

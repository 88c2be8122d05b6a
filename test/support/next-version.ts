import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REKEY_VERSION } from '../../shared/version.ts';
import { root } from '../infra/app.ts';

/** What the version after this one is called, in records and user agents. */
export const NEXT_VERSION = `${REKEY_VERSION}-next`;

/** What the lifecycle of the version after this one calls its state `Window`. */
export const NEXT_WINDOW = 'AcceptanceWindow';

/**
 * Writes the app of a version after this one into `folder`: the code of every function is another, since each names
 * its version to AWS, and so is the definition of the lifecycle machine.
 */
export async function writeNextVersion(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const part of ['infra', 'lambdas', 'shared', 'cdk.json', 'package.json', 'tsconfig.json', 'docs']) {
    await cp(join(root, part), join(folder, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await change(folder, 'shared/version.ts', [[`'${REKEY_VERSION}'`, `'${NEXT_VERSION}'`]]);
  await change(folder, 'infra/machines/lifecycle.ts', [
    ["'Window'", `'${NEXT_WINDOW}'`],
    ['Window: callback(', `${NEXT_WINDOW}: callback(`],
  ]);
  return folder;
}

async function change(
  folder: string,
  file: string,
  replacements: readonly (readonly [from: string, to: string])[],
): Promise<void> {
  const path = join(folder, file);
  let text = await readFile(path, 'utf8');
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  await writeFile(path, text);
}

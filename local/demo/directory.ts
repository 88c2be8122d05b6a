import { OUTPUT } from '../../shared/names.ts';
import type { World } from './world.ts';

/** Where verifiers find the directory of the deployed stack, if a type is deployed that has one. */
export function directoryUrl(world: World): string {
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.directoryUrl))?.[1] ?? '';
  return world.stack.apiUrl(apiId);
}

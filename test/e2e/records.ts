import { settledArchive } from '../../local/demo/archive.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { AuditAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';

/** The evidence of a rotation's records of some actions, from the archive. */
export async function recordsOf(
  world: World,
  rotationId: string,
  ...actions: readonly string[]
): Promise<Record<string, unknown>[]> {
  const { records } = await rekeyJson<AuditAnswer>(['audit'], world.env);
  return (await settledArchive(world.stack, world.output(OUTPUT.archive), records))
    .filter(({ metadata, message }) => metadata.correlation_uid === rotationId && actions.includes(message))
    .map(({ entity }) => JSON.parse(entity.data.evidence || '{}') as Record<string, unknown>);
}

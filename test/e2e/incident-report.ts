// What the report of an incident says of an emergency that has just been.
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { IncidentReport } from '../../shared/api/incident-report.ts';
import { OUTPUT } from '../../shared/names.ts';

/** A test of the report of `incident`, which has revoked what worked of one credential. */
export function describeIncidentReport(incident: string, given: () => { readonly world: World }): void {
  test('the report of the incident has the exposure of every value that worked, and names what no log tells', async () => {
    const { world } = given();
    const { credentials, unread } = await rekeyJson<IncidentReport>(
      ['incident', 'report', incident],
      world.env,
    );
    expect(unread).toEqual([]);
    const [credential] = credentials;
    const began = credential?.moments[0]?.at ?? '';
    const recorded = credential?.moments.find(({ action }) => action === 'emergency-revoked')?.at ?? '';
    // Two where the window was open still, one where it had closed before the emergency came.
    expect([1, 2]).toContain(credential?.exposures.length);
    for (const { from = '', to = '', versionIds } of credential?.exposures ?? []) {
      expect(versionIds).toHaveLength(1);
      expect(from < began && from < to && to <= recorded, `${from} ${began} ${to} ${recorded}`).toBe(true);
    }
    expect(credential?.exposed.opens.map(({ name }) => name)).toContain('database');
    expect(credential?.gaps.map(({ source }) => source)).toContain("the upstream's own log");
    expect(credential?.gaps.map(({ source }) => source)).not.toContain('audit records');
    const { stdout } = await rekey(['incident', 'show', incident], world.env);
    expect(stdout).toContain('resumed');
  });
}

/** Every report of uses in the archive. */
export async function archivedUses(world: World): Promise<unknown[]> {
  const client = new S3Client({ ...world.stack.clientConfig, forcePathStyle: true });
  const Bucket = world.output(OUTPUT.archive);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'uses/' }));
  const texts = await Promise.all(
    Contents.map(async ({ Key }) =>
      (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString(),
    ),
  );
  client.destroy();
  return texts.map((text): unknown => JSON.parse(text ?? ''));
}

// What the auditor's SQL says of the archive.
import { DuckDBInstance } from '@duckdb/node-api';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { settledArchive } from '../../local/demo/archive.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { AuditAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';

/** A test of the query over whatever has happened so far. */
export function describeAuditorsQuery(given: () => { readonly world: World }): void {
  test('the auditor’s query answers over the archive as it does from the ledger', async () => {
    const { world } = given();
    const answer = await rekeyJson<AuditAnswer>(['audit'], world.env);
    const records = await settledArchive(world.stack, world.output(OUTPUT.archive), answer.records);
    const archive = join(world.dir, 'archive');
    for (const record of records) {
      const { cloud, metadata } = record;
      const dt = record.time_dt.slice(0, 10);
      const file = join(
        archive,
        `tenant=${metadata.tenant_uid}/account=${cloud.account.uid}/region=${cloud.region}/dt=${dt}`,
        `${record.entity.uid}-${metadata.sequence}.json`,
      );
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, JSON.stringify(record));
    }
    const sql = await readFile(
      join(import.meta.dirname, '../../infra/queries/rotations-last-12-months.sql'),
      'utf8',
    );
    const connection = await (await DuckDBInstance.create()).connect();
    await connection.run(
      `CREATE VIEW audit_records AS SELECT * FROM read_json('${archive}/**/*.json', hive_partitioning = true, hive_types = {'dt': VARCHAR, 'account': VARCHAR})`,
    );
    const rows = (await connection.runAndReadAll(sql)).getRowObjects();
    expect(rows).toHaveLength(answer.rotations.length);
    const key = (rotation: unknown, deactivation: unknown): string =>
      `${String(rotation)} ${String(deactivation)}`;
    expect(new Set(rows.map((row) => key(row['rotation'], row['deactivation'])))).toEqual(
      new Set(answer.rotations.map((one) => key(one.rotation, one.deactivation))),
    );
    expect(answer.chain.faults).toEqual([]);
  });
}

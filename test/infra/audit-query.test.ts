import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GENESIS, seal, type AuditDraft, type AuditRecord } from '../../shared/domain/audit.ts';
import { root } from './app.ts';

type Row = Record<string, string | null>;

const sql = readFileSync(join(root, 'infra', 'queries', 'rotations-last-12-months.sql'), 'utf8');
const now = Date.now();
const DAY = 86_400_000;
let folder: string;
let rows: readonly Row[];

/** Seals drafts into the chain of one credential. */
function chain(
  name: string,
  drafts: readonly Omit<AuditDraft, 'trigger' | 'time'>[],
  daysAgo = 10,
): AuditRecord[] {
  const home = { tenant: 'default', account: '0', region: 'r' };
  let head = { id: `id-${name}`, name, holders: [], seq: 0, chain: GENESIS, ...home };
  return drafts.map((draft, index) => {
    const time = new Date(now - daysAgo * DAY + index * 1000).toISOString();
    const record = seal(head, { ...draft, time, trigger: { kind: 'operator', actor: `arn:${name}` } });
    head = { ...head, seq: record.metadata.sequence, chain: record.integrity.hash };
    return record;
  });
}

function archive(record: AuditRecord, copy = ''): void {
  const { metadata, cloud, time_dt } = record;
  const path = `tenant=${metadata.tenant_uid}/account=${cloud.account.uid}/region=${cloud.region}/dt=${time_dt.slice(0, 10)}`;
  mkdirSync(join(folder, path), { recursive: true });
  const name = `${record.entity.uid}-${metadata.sequence}-${record.integrity.hash.slice(-8)}${copy}.json`;
  writeFileSync(join(folder, path, name), JSON.stringify(record));
}

const opened = (id: string): Omit<AuditDraft, 'trigger' | 'time'> => ({
  action: 'window-opened',
  correlationId: id,
  oldFingerprint: 'sha256:old',
  newFingerprint: 'sha256:new',
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rekey-archive-'));
  const confirmed = { deactivation: 'CONFIRMED' } as const;
  const records = [
    ...chain('retired', [opened('r1'), { action: 'retired', correlationId: 'r1', ...confirmed }]),
    ...chain('open', [opened('r2')]),
    ...chain('unproven', [opened('r3'), { action: 'retired', correlationId: 'r3' }]),
    ...chain('kept', [opened('r4'), { action: 'kept', correlationId: 'r4', deactivation: 'NOT CONFIRMED' }]),
    ...chain('back', [opened('r5'), { action: 'rolled-back', correlationId: 'r5', ...confirmed }]),
    ...chain('leaked', [
      opened('r6'),
      { action: 'emergency-intended', correlationId: 'i1', incidentId: 'i1', evidence: { preempted: 'r6' } },
      {
        action: 'emergency-revoked',
        correlationId: 'e6',
        incidentId: 'i1',
        oldFingerprint: 'sha256:old',
        ...confirmed,
      },
      { action: 'replaced', correlationId: 'e6', incidentId: 'i1', newFingerprint: 'sha256:next' },
    ]),
    // A token family, whose records are in the archive with the others.
    ...chain('crm', [
      { action: 'consent-given', correlationId: 't1', newFingerprint: 'sha256:t1' },
      {
        action: 'tokens-refreshed',
        correlationId: 't2',
        oldFingerprint: 'sha256:t1',
        newFingerprint: 'sha256:t2',
      },
      { action: 'emergency-intended', correlationId: 't2', incidentId: 'i9' },
      {
        action: 'emergency-revoked',
        correlationId: 't2',
        incidentId: 'i9',
        oldFingerprint: 'sha256:t2',
        ...confirmed,
      },
    ]),
    ...chain('alive', [
      { action: 'emergency-intended', correlationId: 'i2', incidentId: 'i2' },
      { action: 'emergency-revocation-failed', correlationId: 'e7', incidentId: 'i2' },
    ]),
    ...chain('aborted', [
      { action: 'rotation-announced', correlationId: 'r8' },
      { action: 'aborted', correlationId: 'r8' },
    ]),
    ...chain('ancient', [opened('r9'), { action: 'retired', correlationId: 'r9', ...confirmed }], 400),
  ];
  for (const record of records) archive(record);
  for (const record of records) archive(record, '-again');
  const database = await (await DuckDBInstance.create()).connect();
  await database.run(
    `CREATE VIEW audit_records AS SELECT * FROM read_json('${folder}/**/*.json', hive_partitioning = true, ` +
      `hive_types_autocast = false, timestampformat = 'none', dateformat = 'none')`,
  );
  rows = (await database.runAndReadAll(sql)).getRowObjectsJson() as Row[];
  database.closeSync();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const row = (rotation: string): Row | undefined => rows.find((each) => each['rotation'] === rotation);

describe('A2: all rotations of the last 12 months', () => {
  it('has one row for each rotation and each revoked credential, copies or not', () => {
    expect(rows.map((each) => each['rotation'] ?? '').toSorted()).toEqual([
      'e6',
      'e7',
      'r1',
      'r2',
      'r3',
      'r4',
      'r5',
      'r6',
      't2',
    ]);
  });

  it('shows dates, actor, fingerprints and the confirmation of a retirement', () => {
    expect(row('r1')).toMatchObject({
      credential: 'retired',
      trigger_kind: 'operator',
      actor: 'arn:retired',
      old_fingerprint: 'sha256:old',
      new_fingerprint: 'sha256:new',
      outcome: 'retired',
      deactivation: 'CONFIRMED',
    });
    expect(Date.parse(String(row('r1')?.['deactivated_at']))).toBeGreaterThan(
      Date.parse(String(row('r1')?.['rotated_at'])),
    );
  });

  it('never infers a confirmation', () => {
    expect(row('r2')).toMatchObject({
      outcome: 'under way',
      deactivated_at: null,
      deactivation: 'NOT CONFIRMED',
    });
    expect(row('r3')).toMatchObject({ outcome: 'retired', deactivation: 'NOT CONFIRMED' });
    expect(row('r4')).toMatchObject({ outcome: 'kept', deactivated_at: null, deactivation: 'NOT CONFIRMED' });
    expect(row('e7')).toMatchObject({
      outcome: 'emergency-revocation-failed',
      deactivation: 'NOT CONFIRMED',
    });
  });

  it('has the emergency of a token family, and none of its refreshes', () => {
    expect(row('t2')).toMatchObject({
      credential: 'crm',
      incident: 'i9',
      outcome: 'emergency-revoked',
      deactivation: 'CONFIRMED',
    });
    expect(row('t1')).toBeUndefined();
  });

  it('says which one was deactivated where a rotation was rolled back', () => {
    expect(row('r5')).toMatchObject({ outcome: 'rolled-back', deactivation: 'CONFIRMED' });
  });

  it('shows an emergency as one row, and what it says of the rotation that it preempted', () => {
    expect(row('e6')).toMatchObject({
      incident: 'i1',
      old_fingerprint: 'sha256:old',
      new_fingerprint: 'sha256:next',
      outcome: 'emergency-revoked',
      deactivation: 'CONFIRMED',
    });
    expect(row('r6')).toMatchObject({ incident: 'i1', outcome: 'preempted', deactivation: 'CONFIRMED' });
  });
});

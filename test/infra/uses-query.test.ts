import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UPSTREAM_USE_COLUMNS, USE_COLUMNS } from '../../infra/stacks/evidence.ts';
import {
  archivedUpstreamUse,
  archivedUse,
  upstreamUseKey,
  useKey,
} from '../../shared/adapters/s3-archive.ts';
import type { UseReport } from '../../shared/domain/agents.ts';
import { recordKey } from '../../shared/domain/archive-keys.ts';
import { chained, GENESIS } from '../../shared/domain/audit.ts';
import type { UpstreamUse } from '../../shared/domain/upstream-use.ts';
import { root } from './app.ts';

const sql = readFileSync(join(root, 'infra', 'queries', 'who-used-a-credential.sql'), 'utf8');
const home = { tenant: 'default', account: '0', region: 'r' };
const at = (time: string): string => `2026-11-22T${time}.000Z`;
const use = (changes: Partial<UseReport>): UseReport => ({
  credentialId: 'c-1',
  agent: 'shop',
  session: 's1',
  versionId: 'r1',
  succeeded: 1,
  refused: 0,
  from: at('10:00:05'),
  to: at('10:00:30'),
  ...changes,
});
const upstream = (changes: Partial<UpstreamUse>): UpstreamUse => ({
  credentialId: 'c-3',
  source: 'cloudtrail',
  keyId: 'AKIA1',
  who: 'deployer',
  address: '203.0.113.7',
  scope: 's3:ListBuckets',
  outcome: 'worked',
  from: at('10:00:05'),
  to: at('10:00:05'),
  ...changes,
});
let folder: string;
let database: DuckDBConnection;

function write(key: string, text: string): void {
  const path = join(folder, key);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function archive(given: UseReport): void {
  const text = JSON.stringify(archivedUse(given));
  write(useKey(given, home, text), text);
}

function archiveUpstream(given: UpstreamUse): void {
  const text = JSON.stringify(archivedUpstreamUse(given));
  write(upstreamUseKey(given, home, text), text);
}

async function asked(credential: string, from: string, to: string): Promise<Record<string, unknown>[]> {
  const days = ['2026-11-21', '2026-11-22'];
  const answer = await database.runAndReadAll(sql, [...days, credential, at(from), at(to)]);
  return answer.getRowObjectsJson();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rekey-uses-'));
  const { records } = chained(
    { id: 'c-1', name: 'orders-db', holders: [], seq: 0, chain: GENESIS, ...home },
    [
      {
        action: 'registered',
        time: at('09:00:00'),
        trigger: { kind: 'operator', actor: 'a' },
        newFingerprint: 'sha256:first',
      },
      {
        action: 'window-opened',
        time: at('09:30:00'),
        trigger: { kind: 'operator', actor: 'a' },
        correlationId: 'r1',
        newFingerprint: 'sha256:second',
      },
    ],
  );
  const cloud = chained({ id: 'c-3', name: 'aws-key', holders: [], seq: 0, chain: GENESIS, ...home }, [
    {
      action: 'registered',
      time: at('09:00:00'),
      trigger: { kind: 'operator', actor: 'a' },
      newFingerprint: 'sha256:key',
      newHandle: 'AKIA1#1',
    },
  ]);
  for (const record of [...records, ...cloud.records])
    write(recordKey(record, JSON.stringify(record)), JSON.stringify(record));
  // A minute that grew, one that came later, a sub-agent, the first value, zeros, another credential, another time.
  archive(use({}));
  archive(use({ to: at('10:00:59'), succeeded: 4, refused: 1 }));
  archive(use({ from: at('10:01:05'), to: at('10:01:50'), succeeded: 2 }));
  archive(use({ agent: 'shop-helper', session: 's2' }));
  archive(use({ session: 's3', versionId: 'c-1', refused: 2, succeeded: 0 }));
  archive(use({ session: 's4', succeeded: 0 }));
  archive(use({ credentialId: 'c-2', session: 's5' }));
  archive(use({ session: 's6', from: at('12:00:00'), to: at('12:00:50') }));
  // A minute that grew, a refusal, a read of the secret, a source that counts, and a bucket of it that grew.
  archiveUpstream(upstream({}));
  archiveUpstream(upstream({ to: at('10:00:40') }));
  archiveUpstream(upstream({ scope: 'iam:CreateUser', outcome: 'refused' }));
  const { keyId: _key, scope: _scope, outcome: _outcome, ...read } = upstream({ who: 'role/reader' });
  archiveUpstream({ ...read, versionId: 'c-3' });
  const counted = upstream({ source: 'provider-usage', who: 'project', scope: 'gpt' });
  const { outcome: _none, ...bucket } = counted;
  archiveUpstream({ ...bucket, succeeded: 2 });
  archiveUpstream({ ...bucket, succeeded: 5, to: at('10:00:59') });
  database = await (await DuckDBInstance.create()).connect();
  const json = (prefix: string, columns?: Readonly<Record<string, string>>) => {
    const typed = columns === undefined ? '' : `, columns = ${JSON.stringify(columns)}`;
    return `SELECT * FROM read_json('${folder}/${prefix}/**/*.json', hive_partitioning = true, hive_types_autocast = false, timestampformat = 'none', dateformat = 'none'${typed})`;
  };
  await database.run(`CREATE VIEW audit_records AS ${json('records')}`);
  await database.run(`CREATE VIEW agent_uses AS ${json('uses', USE_COLUMNS)}`);
  await database.run(`CREATE VIEW upstream_uses AS ${json('upstream-uses', UPSTREAM_USE_COLUMNS)}`);
});

afterAll(() => {
  database.closeSync();
  rmSync(folder, { recursive: true, force: true });
});

describe('A3: which agent used a credential between two times', () => {
  it('has a row for each agent, session and version, with each minute counted once', async () => {
    const rows = await asked('orders-db', '10:00:00', '11:00:00');
    const told = rows.map((row) => [
      row['agent'],
      row['session'],
      row['fingerprint'],
      Number(row['succeeded']),
      Number(row['refused']),
    ]);
    expect(told).toEqual([
      ['shop', 's1', 'sha256:second', 6, 1],
      ['shop', 's3', 'sha256:first', 0, 2],
      ['shop-helper', 's2', 'sha256:second', 1, 0],
    ]);
    expect(rows[0]).toMatchObject({
      source: 'agent',
      credential: 'orders-db',
      first_use: at('10:00:05'),
      last_use: at('10:01:50'),
    });
  });

  it('takes the id as well, and leaves out what lies beyond the times', async () => {
    expect(await asked('c-1', '11:00:00', '13:00:00')).toMatchObject([{ session: 's6' }]);
    expect(await asked('c-2', '10:00:00', '11:00:00')).toMatchObject([{ session: 's5', credential: null }]);
    expect(await asked("orders-db' OR '1'='1", '10:00:00', '11:00:00')).toEqual([]);
  });

  it('has what upstreams tell beside it, with the value that the key had', async () => {
    const rows = await asked('aws-key', '10:00:00', '11:00:00');
    const told = rows.map((row) =>
      ['source', 'agent', 'key_id', 'fingerprint', 'scope', 'outcome', 'succeeded', 'last_use'].map(
        (column) => row[column],
      ),
    );
    expect(told).toEqual([
      ['cloudtrail', 'deployer', 'AKIA1', 'sha256:key', 'iam:CreateUser', 'refused', null, at('10:00:05')],
      ['cloudtrail', 'deployer', 'AKIA1', 'sha256:key', 's3:ListBuckets', 'worked', null, at('10:00:40')],
      ['cloudtrail', 'role/reader', null, 'sha256:key', null, null, null, at('10:00:05')],
      ['provider-usage', 'project', 'AKIA1', 'sha256:key', 'gpt', null, '5', at('10:00:59')],
    ]);
  });

  it('asks tables whose columns are what the archive is given', () => {
    expect(Object.keys(archivedUpstreamUse(upstream({})))).toEqual(Object.keys(UPSTREAM_USE_COLUMNS));
    expect(Object.keys(archivedUse(use({})))).toEqual(Object.keys(USE_COLUMNS));
  });
});

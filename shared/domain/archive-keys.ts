import { createHash } from 'node:crypto';
import type { AuditRecord } from './audit.ts';

/** Prefix of the audit records in the archive. */
export const RECORDS = 'records/';

/** Prefix of the reports of uses in the archive. */
export const USES = 'uses/';

/** Prefix of what upstreams tell of uses in the archive. */
export const UPSTREAM_USES = 'upstream-uses/';

/** Prefix of what the archiver found changed in the ledger. */
export const TAMPERING = 'tampering/';

/** SHA-256 of an object's content, which its name holds. */
export function sha256(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

/** Where a record's object is; the partitions are those of the Glue table. */
export function recordKey(record: AuditRecord, content: string | Uint8Array): string {
  const { metadata, cloud, entity, time_dt: time } = record;
  const name = `${String(metadata.sequence).padStart(12, '0')}-${sha256(content).toString('hex')}.json`;
  const partitions = [
    `tenant=${metadata.tenant_uid}`,
    `account=${cloud.account.uid}`,
    `region=${cloud.region}`,
    `dt=${time.slice(0, 10)}`,
  ];
  return `${RECORDS}${[...partitions, entity.uid, name].join('/')}`;
}

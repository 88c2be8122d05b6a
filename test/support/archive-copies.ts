import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CopiedObject } from '../../shared/domain/archive-copy.ts';
import { recordKey } from '../../shared/domain/archive-keys.ts';
import { GENESIS, seal, type AuditRecord } from '../../shared/domain/audit.ts';

/** A chain of so many records, four a day, as the ledger seals them. */
export function chainRecords(length: number, id: string, name = `${id}-db`): AuditRecord[] {
  const head = { seq: 0, chain: GENESIS };
  return Array.from({ length }, (_, index) => {
    const record = seal(
      {
        tenant: 'acme',
        account: '111122223333',
        region: 'eu-central-1',
        holders: [],
        id,
        name,
        ...head,
      },
      {
        action: index === 0 ? 'registered' : 'window-opened',
        time: new Date(1_767_225_600_000 + index * 21_600_000).toISOString(),
        trigger: { kind: 'operator', actor: 'arn:aws:iam::111122223333:role/ops', reason: `nr ${index}` },
      },
    );
    head.seq = record.metadata.sequence;
    head.chain = record.integrity.hash;
    return record;
  });
}

/** The object of a record. */
export function objectOf(record: AuditRecord): CopiedObject {
  const content = Buffer.from(JSON.stringify(record));
  return { key: recordKey(record, content), content };
}

/** Writes objects as files, as `aws s3 sync` does. */
export async function writeCopy(folder: string, objects: readonly CopiedObject[]): Promise<void> {
  for (const { key, content } of objects) {
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await writeFile(join(folder, key), content);
  }
}

import { expect, it } from 'vitest';
import { ArchiveCopy } from '../../../shared/domain/archive-copy.ts';
import { sha256 } from '../../../shared/domain/archive-keys.ts';

it('an object that is nested too deep for a hash is told of by its key, and ends no check of a copy', () => {
  const record = JSON.stringify({
    time_dt: '2026-01-01T00:00:00.000Z',
    message: 'm',
    metadata: { sequence: 1, tenant_uid: 't' },
    cloud: { account: { uid: '1' }, region: 'r' },
    entity: { uid: 'x', name: 'x' },
    integrity: { previous: '', hash: '' },
  });
  const content = Buffer.from(`${record.slice(0, -1)},"deep":${'['.repeat(20_000)}${']'.repeat(20_000)}}`);
  const key = `records/x/000000000001-${sha256(content).toString('hex')}.json`;
  const copy = new ArchiveCopy();
  copy.add([{ key, content }]);
  expect(copy.report().faults).toEqual([{ fault: 'form', key }]);
});

import { describe, expect, it } from 'vitest';
import { GENESIS, seal, type AuditAction } from '../../../shared/domain/audit.ts';
import { eventOf } from '../../../shared/domain/events.ts';
import { EVENT } from '../../../shared/names.ts';

const HEAD = {
  id: 'id-1',
  name: 'orders',
  tenant: 'main',
  account: '111122223333',
  region: 'eu-central-1',
  seq: 0,
  chain: GENESIS,
};

const record = (action: AuditAction) =>
  seal(HEAD, {
    action,
    time: '2026-11-22T10:00:00.000Z',
    trigger: { kind: 'operator', actor: 'arn:o', reason: 'because' },
    correlationId: 'rotation-1',
    newFingerprint: 'sha256:new',
    window: {
      opensAt: '2026-11-22T10:00:00.000Z',
      earliestClose: '2026-11-22T10:15:00.000Z',
      deadline: '2026-11-22T10:30:00.000Z',
      cap: '2026-11-22T14:00:00.000Z',
    },
    evidence: { canary: 'evidence stays in the audit' },
  });

describe('the event of a record', () => {
  it.each<[AuditAction, string]>([
    ['rotation-announced', EVENT.announced],
    ['window-opened', EVENT.rotated],
    ['replaced', EVENT.rotated],
    ['retired', EVENT.retired],
    ['rollback-window-opened', EVENT.rolledBack],
    ['aborted', EVENT.failed],
    ['stuck', EVENT.failed],
    ['window-held', EVENT.failed],
    ['rotation-overdue', EVENT.expiring],
    ['rotation-escalated', EVENT.expiring],
    ['emergency-revoked', EVENT.revoked],
  ])('%s is published as %s', (action, detailType) => {
    expect(eventOf(record(action))).toMatchObject({
      detailType,
      detail: { id: 'id-1-1', credential: 'orders', rotationId: 'rotation-1', action, tenant: 'main' },
    });
  });

  it.each<AuditAction>([
    'issue-intended',
    'activation-intended',
    'promotion-intended',
    'window-waiting',
    'policy-findings',
  ])('%s is no news for anybody', (action) => {
    expect(eventOf(record(action))).toBeUndefined();
  });

  it('holds no evidence', () => {
    expect(JSON.stringify(eventOf(record('window-opened')))).not.toContain('canary');
    expect(JSON.stringify(record('window-opened'))).toContain('canary');
  });
});

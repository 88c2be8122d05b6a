import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { GENESIS, seal, type AuditAction } from '../../../shared/domain/audit.ts';
import { concerned, eventOf } from '../../../shared/domain/events.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
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

const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
const client = (name: string, fleet?: string): Holder => ({
  kind: 'client',
  name,
  principal: role(name),
  ...(fleet === undefined ? {} : { fleet }),
});
const polling = (name: string): Holder => ({ kind: 'polling', name, ttlSeconds: 60 });

const record = (
  action: AuditAction,
  holders: readonly Holder[] = [],
  evidence: object = { canary: 'evidence stays in the audit' },
) =>
  seal(
    { ...HEAD, holders },
    {
      action,
      holders: holders.map(({ name }) => name),
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
      evidence,
    },
  );

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
    ['operator-awaited', EVENT.failed],
    ['rotation-overdue', EVENT.expiring],
    ['rotation-escalated', EVENT.expiring],
    ['rotation-endangered', EVENT.expiring],
    ['credential-ending', EVENT.expiring],
    ['consent-given', EVENT.rotated],
    ['tokens-refreshed', EVENT.rotated],
    ['consent-needed', EVENT.failed],
    ['refresh-failed', EVENT.failed],
    ['refresh-endangered', EVENT.failed],
    ['consent-due', EVENT.expiring],
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

  it.each<[AuditAction, object, string | undefined]>([
    [
      'signal-held',
      { meanwhile: 'Suspended until somebody decides: orders.' },
      'Suspended until somebody decides: orders.',
    ],
    ['signal-held', { why: 'of an older version' }, undefined],
    ['signal-by-hand', {}, 'It works until a person ends it at its upstream.'],
    ['signal-approved', { meanwhile: 'x' }, undefined],
  ])('%s with %j says what works meanwhile: %s', (action, evidence, meanwhile) => {
    expect(eventOf(record(action, [], evidence))?.detail.meanwhile).toBe(meanwhile);
  });

  it('holds no evidence', () => {
    expect(JSON.stringify(eventOf(record('window-opened')))).not.toContain('canary');
    expect(JSON.stringify(record('window-opened'))).toContain('canary');
  });
});

describe('whom an event concerns (hard decision 14)', () => {
  const mixed = [client('checkout', 'shop'), client('search', 'shop'), client('alone'), polling('nightly')];
  const named = {
    holders: ['checkout', 'search', 'alone', 'nightly'],
    fleets: ['shop', 'alone', 'nightly'],
  };

  it('is a fleet once, and who declares none is a fleet of its own', () => {
    expect(concerned(mixed)).toEqual(named);
    expect(eventOf(record('retired', mixed))?.detail).toMatchObject(named);
  });

  it('is each holder by itself in a record from before fleets were written', () => {
    const sealed = record('retired', [polling('a'), polling('b')]);
    const { fleets: _later, ...data } = sealed.entity.data;
    const older = { ...sealed, entity: { ...sealed.entity, data } };
    expect(eventOf(older)?.detail).toMatchObject({ holders: ['a', 'b'], fleets: ['a', 'b'] });
  });

  it('is everybody where nobody is declared, or where there are too many to name', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => polling(`agent-${index}`));
    expect(concerned([])).toEqual({ holders: [], fleets: ['*'] });
    expect(concerned(hundred).fleets).toHaveLength(100);
    expect(concerned([...hundred, polling('one more')])).toEqual({ holders: [], fleets: ['*'] });
    const fleet = Array.from({ length: 101 }, (_, index) => client(`agent-${index}`, 'shop'));
    expect(concerned(fleet)).toEqual({ holders: [], fleets: ['shop'] });
  });

  it('fits an event, however long the names are', () => {
    const long = Array.from({ length: 100 }, (_, index) => polling(`${'\u{1F511}'.repeat(62)}${index}`));
    const bytes = Buffer.byteLength(JSON.stringify(eventOf(record('retired', long))));
    expect(bytes).toBeLessThan(200 * 1024);
  });
});

describe('the published schema', () => {
  const file = new URL('../../../docs/events.schema.json', import.meta.url);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { examples: { 'detail-type': string }[] };
  const valid = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);

  it.each(schema.examples.map((example) => [example['detail-type'], example]))(
    'describes its own example of %s',
    (_type, example) => {
      expect([valid(example), valid.errors]).toEqual([true, null]);
    },
  );
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SIGNALS, TAMPERED } from '../../infra/stacks/monitoring.ts';
import { EVENT } from '../../shared/names.ts';
import { DEPLOYED, list, ofType, root, synthesise, text } from './app.ts';

const stacks = synthesise();

describe('alarms', () => {
  const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm');
  const headings = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('## '))
    .map((line) => line.slice(3).toLowerCase().replaceAll(' ', '-'));

  it('watch machines, dead letters, lag and every function', () => {
    const ids = alarms.map(({ logicalId }) => logicalId).join(' ');
    for (const start of [
      'RotationFailed',
      'RotationTimedOut',
      'EmergencyFailed',
      'ArchiveLag',
      'PublishLag',
      'ApiErrors',
      'AgentApiServerErrors',
      'PlannerSilent',
      'UndeliveredEvents',
    ]) {
      expect(ids).toContain(start);
    }
    expect(alarms.filter(({ logicalId }) => logicalId.includes('DeadLetters'))).toHaveLength(6);
    const errors = alarms.filter(
      ({ Properties }) => Properties['MetricName'] === 'Errors' && Properties['Namespace'] === 'AWS/Lambda',
    );
    expect(errors).toHaveLength(DEPLOYED.length);
  });

  it('tell the same topic of rotations that need a person, and of tampering by what the archiver logs', () => {
    const pages = (stacks['monitoring']?.resources ?? []).filter(({ Type }) => Type === 'AWS::Events::Rule');
    expect(pages.map(({ Properties }) => Properties['EventPattern'])).toEqual([
      {
        source: ['aws.states'],
        'detail-type': ['Step Functions Execution Status Change'],
        detail: { stateMachineArn: [expect.anything()], status: ['RUNNING'] },
      },
      { source: ['rekey'], 'detail-type': [EVENT.emergency] },
      {
        source: ['rekey'],
        'detail-type': [EVENT.failed],
        detail: {
          action: [
            {
              'anything-but': ['operator-awaited', 'consent-needed', 'refresh-failed', 'refresh-endangered'],
            },
          ],
        },
      },
      { source: ['rekey'], 'detail-type': [EVENT.failed], detail: { action: ['operator-awaited'] } },
      { source: ['rekey'], 'detail-type': [EVENT.expiring] },
      {
        source: ['rekey'],
        'detail-type': [EVENT.signal],
        detail: { action: ['signal-held', 'signal-by-hand'] },
      },
      { source: ['rekey'], 'detail-type': [EVENT.signal], detail: { action: ['glass-broken'] } },
      { source: ['rekey'], 'detail-type': [EVENT.anomaly] },
    ]);
    const held = pages.find(({ logicalId }) => logicalId.startsWith('SignalHeld'));
    expect(JSON.stringify(held?.Properties['Targets'])).toContain('$.detail.meanwhile');
    const filters = ofType(stacks, 'AWS::Logs::MetricFilter');
    expect(filters.map(({ Properties }) => Properties['FilterPattern'])).toEqual([
      `{ $.message = "${TAMPERED}" }`,
      `{ $.message = "${SIGNALS.overBudget}" }`,
      `{ $.message = "${SIGNALS.notIdentified}" }`,
    ]);
    const archiver = readFileSync(join(root, 'lambdas', 'archive-audit', 'handler.ts'), 'utf8');
    expect(archiver).toContain(`logger.critical('${TAMPERED}'`);
  });

  it('P5: what runs by schedule pages at its first error, and a planner that does not run at all within 15 minutes', () => {
    const of = (start: string) => alarms.find(({ logicalId }) => logicalId.startsWith(start))?.Properties;
    for (const name of ['PlanRotationsErrors', 'ReconcileDatabaseErrors', 'RevokeDatabaseErrors'])
      expect(of(name)).toMatchObject({ Threshold: 1, Period: 300, EvaluationPeriods: 1 });
    expect(of('PlannerSilent')).toMatchObject({
      MetricName: 'Invocations',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      Period: 300,
      EvaluationPeriods: 3,
      TreatMissingData: 'breaching',
    });
    expect(of('VerifyDatabaseErrors')).toMatchObject({ Threshold: 5, TreatMissingData: 'notBreaching' });
  });

  it('each link to an entry of the runbook that exists, and page', () => {
    for (const { Properties } of alarms) {
      const anchor = /docs\/runbook\.md#([a-z-]+)$/.exec(text(Properties['AlarmDescription']))?.[1];
      expect(headings).toContain(anchor);
      expect(list(Properties['AlarmActions'])).toHaveLength(1);
    }
  });

  it('each entry says what it means, how to look and what to do', () => {
    const runbook = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8');
    for (const entry of runbook.split('\n## ').slice(1)) {
      for (const part of ['**What it means**', '**Investigate**', '**Resolve**'])
        expect(entry).toContain(part);
    }
  });

  it('use no metric math', () => {
    expect(alarms.filter(({ Properties }) => Properties['Metrics'] !== undefined)).toEqual([]);
  });
});

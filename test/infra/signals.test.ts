import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SIGNALS } from '../../infra/stacks/monitoring.ts';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { SIGNAL_SOURCES } from '../../shared/domain/signals/signal.ts';
import { TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, ofType, resource, root, synthesise, text, type Stack, type Stacks } from './app.ts';

const secretOf = (name: string): string =>
  `arn:aws:secretsmanager:${localRegion}:${localAccountId}:secret:${name}`;
const SHARED = secretOf('signals/github-a1b2c3');
const TOKEN = secretOf('signals/github-token-a1b2c3');
const stacks = synthesise({
  settings: {
    types: ['database'],
    signals: {
      unusual: 'off',
      github: { secretArn: SHARED, tokenSecretArn: TOKEN },
      siem: { secretArn: SHARED },
      risc: {
        issuer: 'https://idp.example.com/',
        audience: 'rekey',
        jwksUrl: 'https://idp.example.com/jwks',
      },
    },
  },
});
const policies = new Policies(stacks);
const role = policies.role('receive-signal');
const allowed = async (ask: IamRequest): Promise<boolean> => (await policies.decide(role, ask)).allowed;
const arnIn = (stack: string, logicalId: string): string => {
  const found = stacks[stack];
  if (found === undefined) throw new Error(`there is no stack ${stack}`);
  return policies.resolver.arn(resource(stacks, stack, logicalId), found);
};
const reading = (arn: string, tags: Record<string, string> = {}): IamRequest => ({
  action: 'secretsmanager:GetSecretValue',
  resource: arn,
  context: Object.fromEntries(Object.entries(tags).map(([tag, value]) => [`aws:ResourceTag/${tag}`, value])),
});
const inLedger = (operation: string, key: string): IamRequest => ({
  action: `dynamodb:${operation}`,
  resource: arnIn('state', 'Ledger'),
  context: { 'dynamodb:LeadingKeys': [key] },
});

const nameOf = (all: Stacks, stack: Stack): string =>
  Object.entries(all).find(([, each]) => each === stack)?.[0] ?? '';

describe('the intake of signals', () => {
  it('has a route for each source of the settings and no other', () => {
    const routes = (stacks['signals']?.resources ?? []).filter(
      ({ Type }) => Type === 'AWS::ApiGatewayV2::Route',
    );
    expect(routes.map(({ Properties }) => text(Properties['RouteKey'])).toSorted()).toEqual([
      'POST /signals/github',
      'POST /signals/risc',
      'POST /signals/siem',
    ]);
    const settings = at(
      ofType(stacks, 'AWS::Lambda::Function').find(
        ({ Properties }) => at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION') === 'receive-signal',
      )?.Properties,
      'Environment',
      'Variables',
      'REKEY_SIGNALS',
    );
    expect(Object.keys(JSON.parse(text(settings)) as object)).toEqual(['github', 'siem', 'risc']);
  });

  it('throttles each source by itself: a flood of one leaves the others alone', () => {
    const stage = (stacks['signals']?.resources ?? []).find(
      ({ Type }) => Type === 'AWS::ApiGatewayV2::Stage',
    );
    const own = { ThrottlingRateLimit: 20, ThrottlingBurstLimit: 40 };
    expect(stage?.Properties['RouteSettings']).toEqual({
      'POST /signals/github': own,
      'POST /signals/siem': own,
      'POST /signals/risc': own,
    });
  });

  it('is not there where no source is named', () => {
    const without = synthesise();
    expect(ofType(without, 'AWS::ApiGatewayV2::Api').length).toBeGreaterThan(0);
    expect(without['signals']?.resources.filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Api')).toEqual([]);
    expect(Object.keys(synthesise({ settings: { signals: { unusual: 'off' } } }))).not.toContain('signals');
  });

  it('reads what its sources share, and no secret of a credential or an administrator', async () => {
    expect(await allowed(reading(SHARED))).toBe(true);
    expect(await allowed(reading(TOKEN))).toBe(true);
    expect(await allowed(reading(secretOf('signals/other-a1b2c3')))).toBe(false);
    const ours = { [TAG.type]: 'database', [TAG.stage]: 'dev' };
    expect(await allowed(reading(secretOf('agents/orders-a1b2c3'), ours))).toBe(false);
    expect(await allowed(reading(secretOf('admin/orders-a1b2c3'), { [TAG.admin]: 'database' }))).toBe(false);
  });

  it('finds keys and counts signals, and neither reads trails nor deletes anything', async () => {
    expect(await allowed(inLedger('Query', 'default#FP#sha256:1'))).toBe(true);
    expect(await allowed(inLedger('Query', 'default#C#1'))).toBe(false);
    expect(await allowed(inLedger('UpdateItem', 'default#SIGNAL#siem'))).toBe(true);
    expect(await allowed(inLedger('UpdateItem', 'default#C#1'))).toBe(false);
    expect(await allowed(inLedger('DeleteItem', 'default#SIGNAL#siem'))).toBe(false);
  });

  it('has a row of the runbook for each source, for AWS Health, and for what reaches people: notices and scans', () => {
    const runbook = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8');
    const entry = runbook.split('\n## ').find((each) => each.startsWith('Signal received\n')) ?? '';
    const rows = entry
      .split('\n')
      .filter((line) => line.startsWith('| ') && !/^\| (?:signal|-+) /.test(line))
      .map((line) => line.split('|').map((cell) => cell.trim()));
    expect(rows.map(([, signal]) => signal)).toEqual([
      ...[...SIGNAL_SOURCES, 'aws-health'].map((source) => `\`${source}\``),
      'a notice of another provider',
      '`trufflehog`',
    ]);
    for (const [, , ...cells] of rows) expect(cells.slice(0, 3).every((cell) => cell !== '')).toBe(true);
  });

  it('asks the coordinator of token families where there is one, and calls no other function', async () => {
    const invoked = async (all: Stacks): Promise<string[]> => {
      const every = new Policies(all);
      const found: string[] = [];
      for (const stack of Object.values(all)) {
        for (const { Type, logicalId, Properties } of stack.resources) {
          if (Type !== 'AWS::Lambda::Function') continue;
          const ask = {
            action: 'lambda:InvokeFunction',
            resource: `${every.resolver.arn(resource(all, nameOf(all, stack), logicalId), stack)}:live`,
          };
          if ((await every.decide(every.role('receive-signal'), ask)).allowed)
            found.push(text(at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION')));
        }
      }
      return found;
    };
    expect(await invoked(stacks)).toEqual([]);
    const signals = { siem: { secretArn: SHARED } };
    const both = synthesise({ settings: { types: ['database'], families: true, signals } });
    expect(await invoked(both)).toEqual(['refresh-families']);
  });

  it('alarms by what its handler logs, with an entry of the runbook each', () => {
    const handler = readFileSync(join(root, 'lambdas', 'receive-signal', 'handler.ts'), 'utf8');
    const filters = ofType(stacks, 'AWS::Logs::MetricFilter').map(
      ({ Properties }) => Properties['FilterPattern'],
    );
    const runbook = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8').toLowerCase();
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').map(({ Properties }) =>
      JSON.stringify(Properties['AlarmDescription']),
    );
    for (const message of Object.values(SIGNALS)) {
      expect(handler).toContain(`logger.warn('${message}'`);
      expect(filters).toContain(`{ $.message = "${message}" }`);
    }
    for (const entry of [
      'signals-over-budget',
      'signals-refused',
      'signal-not-identified',
      'signals-failed',
    ]) {
      expect(alarms.filter((alarm) => alarm.includes(`#${entry}`))).toHaveLength(1);
      expect(runbook).toContain(`\n## ${entry.replaceAll('-', ' ')}\n`);
    }
  });
});

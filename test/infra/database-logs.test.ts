import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSettings, SettingsError } from '../../infra/config.ts';
import { DATABASE_LOGS } from '../../infra/stacks/monitoring.ts';
import { at, list, ofType, root, statementsByFunction, synthesise, text } from './app.ts';

const GROUP = 'arn:aws:logs:eu-central-1:111122223333:log-group:/aws/rds/instance/orders/postgresql';
const databaseLogs = [{ logGroupArn: GROUP }, { logGroupArn: `${GROUP}-2`, hosts: ['db.example.com'] }];
const stacks = synthesise({ settings: { uses: { databaseLogs } } });
const own = statementsByFunction(stacks)['observe-database-logs'] ?? [];

/** `field: message` of everything that is refused. */
function refused(settings: object, account?: string, region?: string): string[] {
  try {
    readSettings({ settings, account, region });
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map(({ field, message }) => `${field}: ${message}`);
  }
  return [];
}

describe('logs of databases', () => {
  it('are read by nobody until the settings name one', () => {
    const without = synthesise();
    expect(ofType(without, 'AWS::Logs::SubscriptionFilter')).toEqual([]);
    expect(statementsByFunction(without)['observe-database-logs']).toBeUndefined();
  });

  it('come by a subscription each, as far as lines tell of connections', () => {
    const filters = ofType(stacks, 'AWS::Logs::SubscriptionFilter');
    expect(filters.map(({ Properties }) => Properties['LogGroupName'])).toEqual([
      '/aws/rds/instance/orders/postgresql',
      '/aws/rds/instance/orders/postgresql-2',
    ]);
    for (const { Properties } of filters)
      expect(Properties['FilterPattern']).toBe(
        '?"connection received: host=" ?"connection authorized: user=" ?"]:FATAL:" ?"checkpoint complete:"',
      );
  });

  it('reach the function from these log groups of this account only', () => {
    const letIn = ofType(stacks, 'AWS::Lambda::Permission').filter(
      ({ Properties }) => Properties['Principal'] === 'logs.amazonaws.com',
    );
    expect(letIn.map(({ Properties }) => Properties['SourceArn'])).toEqual([`${GROUP}:*`, `${GROUP}-2:*`]);
    for (const { Properties } of letIn)
      expect(Properties['SourceAccount']).toEqual({ Ref: 'AWS::AccountId' });
  });

  it('are kept by a function that may list credentials and write uses, nothing else', () => {
    const onTable = own.filter(({ Action }) =>
      list(Action).some((each) => text(each).startsWith('dynamodb:')),
    );
    expect(onTable.map(({ Action, Condition }) => [list(Action), Condition])).toEqual([
      [
        ['dynamodb:GetItem', 'dynamodb:PutItem'],
        { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#UPSTREAM#*', '*#COVERED#*'] } },
      ],
      [['dynamodb:Query'], { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#CREDENTIALS'] } }],
    ]);
    expect(JSON.stringify(own)).not.toMatch(/secretsmanager|lambda:InvokeFunction|states:/);
    expect(
      own.flatMap(({ Action }) => list(Action)).filter((each) => text(each).startsWith('logs:')),
    ).toEqual(['logs:CreateLogStream', 'logs:PutLogEvents']);
  });

  it('wait in a queue where they could not be kept, and a person hears of it', () => {
    const [invoke] = ofType(stacks, 'AWS::Lambda::EventInvokeConfig').filter(({ logicalId }) =>
      logicalId.startsWith('DatabaseLogs'),
    );
    expect(JSON.stringify(at(invoke?.Properties, 'DestinationConfig', 'OnFailure'))).toContain(
      'DatabaseLogsDeadLetters',
    );
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').map(({ logicalId }) => logicalId);
    for (const start of ['DatabaseLogsDeadLetters', 'DatabaseLoginUndecided', 'DatabaseLogNotUnderstood'])
      expect(
        alarms.some((id) => id.startsWith(start)),
        start,
      ).toBe(true);
  });

  it('are told of by what the function logs, which never is a line', () => {
    const handler = readFileSync(join(root, 'lambdas', 'observe-database-logs', 'handler.ts'), 'utf8');
    for (const message of Object.values(DATABASE_LOGS)) expect(handler).toContain(`logger.warn('${message}'`);
  });
});

describe('the setting uses.databaseLogs', () => {
  it('names log groups, each once and of the deployment’s account and region', () => {
    expect(refused({ uses: { databaseLogs } })).toEqual([]);
    expect(refused({ uses: { databaseLogs: [{ logGroupArn: `${GROUP}:*` }] } })[0]).toContain('without ":*"');
    expect(refused({ uses: { databaseLogs: [databaseLogs[0], databaseLogs[0]] } })).toEqual([
      'uses.databaseLogs[1].logGroupArn: the same as uses.databaseLogs[0]; remove it',
    ]);
    expect(refused({ uses: { databaseLogs } }, '444455556666')[0]).toContain(
      'uses.databaseLogs[0].logGroupArn: it is of account',
    );
    expect(refused({ uses: { databaseLogs } }, '111122223333', 'eu-west-1')[0]).toContain(
      'it is in eu-central-1',
    );
  });

  it('has no more hosts than a function has room for', () => {
    const hosts = Array.from({ length: 10 }, (_each, index) => `${'x'.repeat(240)}${index}`);
    const many = ['a', 'b'].map((name) => ({ logGroupArn: GROUP + name, hosts }));
    expect(refused({ uses: { databaseLogs: many } })).toEqual([expect.stringContaining('3000 characters')]);
  });
});

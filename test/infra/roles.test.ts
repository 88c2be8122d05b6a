import { describe, expect, it } from 'vitest';
import { SEAL, FUNCTIONS } from '../../shared/names.ts';
import { list, statementsByFunction, synthesise, text, type Statement } from './app.ts';

const stacks = synthesise();

describe('roles', () => {
  const roles = statementsByFunction(stacks);
  const allows = (name: string, action: string): Statement[] =>
    (roles[name] ?? []).filter(({ Effect, Action }) => Effect === 'Allow' && list(Action).includes(action));
  const tagged = ({ Condition }: Statement, tag: string): boolean =>
    Condition?.['StringEquals']?.[`aws:ResourceTag/${tag}`] === 'database';
  const who = (action: string, tag: string): string[] =>
    FUNCTIONS.filter((name) => allows(name, action).some((each) => tagged(each, tag))).toSorted();

  it('read values of agents only where a step needs them; retirement and revocation never do', () => {
    expect(who('secretsmanager:GetSecretValue', 'rekey:type')).toEqual([
      'reconcile-database',
      'register-database',
      'replace-database',
      'rollback-database',
      'rotate-database',
    ]);
  });

  it('read administrative secrets only where the function logs in to the database', () => {
    expect(who('secretsmanager:GetSecretValue', 'rekey:admin')).toEqual([
      'reconcile-database',
      'register-database',
      'replace-database',
      'retire-database',
      'revoke-database',
      'rollback-database',
      'rotate-database',
      'verify-database',
    ]);
  });

  it('look at a credential for `rekey doctor` with the rights of those that rotate it', () => {
    const reads = (name: string): string[] => [
      ...new Set(
        ['secretsmanager:GetSecretValue', 'kms:Decrypt'].flatMap((action) =>
          allows(name, action).map(({ Resource, Condition }) =>
            JSON.stringify([action, Resource, Condition]),
          ),
        ),
      ),
    ];
    expect(reads('register-database').toSorted()).toEqual(reads('rotate-database').toSorted());
    expect(reads('rotate-database')).toHaveLength(4);
  });

  it('touch no secret that lacks the tag of Rekey', () => {
    for (const name of FUNCTIONS) {
      for (const statement of roles[name] ?? []) {
        const actions = list(statement.Action)
          .map(text)
          .filter((each) => each.startsWith('secretsmanager:'));
        if (actions.length === 0) continue;
        const guarded = JSON.stringify(statement.Condition ?? {}).includes('/rekey:');
        const showsNoValue =
          (name === 'register-database' && actions.join() === 'secretsmanager:DescribeSecret') ||
          (name === 'take-inventory' && actions.join() === 'secretsmanager:ListSecrets');
        expect([name, actions, guarded || showsNoValue]).toEqual([name, actions, true]);
      }
    }
  });

  it('only registration creates and tags secrets, and must tag them as Rekey does', () => {
    for (const action of ['secretsmanager:CreateSecret', 'secretsmanager:TagResource']) {
      expect(FUNCTIONS.filter((name) => allows(name, action).length > 0)).toEqual(['register-database']);
      expect(allows('register-database', action)[0]?.Condition).toMatchObject({
        StringEquals: { 'aws:RequestTag/rekey:type': 'database' },
      });
    }
  });

  it('reach what may be adopted as they reach what Rekey makes, may look at its form, but never delete it there nor consent for its owner', () => {
    const key = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const settings = { adoptPrefixes: ['prod/legacy/', 'team-x-'], adoptKeyArns: [key] };
    const adopting = statementsByFunction(synthesise({ settings }));
    const reach = (all: typeof roles, prefix: string): string[] =>
      FUNCTIONS.flatMap((name) =>
        (all[name] ?? [])
          .filter((each) => JSON.stringify(each.Resource).includes(`secret:${prefix}*`))
          .flatMap((each) => list(each.Action).map((action) => `${name} ${text(action)}`)),
      ).toSorted();
    const made = new Set(reach(roles, 'agents/'));
    for (const prefix of settings.adoptPrefixes) {
      const missing = [...made].filter((each) => !reach(adopting, prefix).includes(each));
      expect(missing).toEqual(
        ['CreateSecret', 'DeleteSecret'].map((action) => `register-database secretsmanager:${action}`),
      );
      // The one statement by which it untags there, too: the consent of the owner stays the owner's.
      const tagging = (adopting['register-database'] ?? []).filter(
        (each) =>
          list(each.Action).some((action) => /:(Tag|Untag)Resource$/.test(text(action))) &&
          JSON.stringify(each.Resource).includes(prefix),
      );
      expect(tagging.map(({ Condition }) => Condition)).toEqual([
        {
          StringEquals: {
            'aws:ResourceTag/rekey:type': 'database',
            'aws:ResourceTag/rekey:stage': 'dev',
          },
          'ForAllValues:StringEquals': { 'aws:TagKeys': ['rekey:credential'] },
          Null: { 'aws:TagKeys': 'false' },
        },
      ]);
    }
    const looking = (adopting['take-inventory'] ?? []).filter(({ Action }) =>
      list(Action).includes('secretsmanager:GetSecretValue'),
    );
    expect(looking).toHaveLength(1);
    expect(looking[0]?.Condition).toEqual({ Null: { 'aws:ResourceTag/rekey:admin': 'true' } });
    for (const name of ['rotate-database', 'replace-database', 'register-database']) {
      expect(JSON.stringify(adopting[name])).toContain(key);
      expect(JSON.stringify(roles[name])).not.toContain(key);
    }
  });

  it('only registration and the agent API delete from the table, and only what agents say and counts of signals are updated in place', () => {
    expect(FUNCTIONS.filter((name) => allows(name, 'dynamodb:DeleteItem').length > 0)).toEqual([
      'register-database',
      'agent-api',
    ]);
    expect(FUNCTIONS.filter((name) => allows(name, 'dynamodb:UpdateItem').length > 0)).toEqual([
      'control-api',
      'agent-api',
      'receive-notice',
    ]);
    const counts = allows('control-api', 'dynamodb:UpdateItem');
    expect(counts.map(({ Condition }) => Condition)).toEqual([
      { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*#SIGNAL#*'] } },
    ]);
  });

  it('the agent API reads no secret, and writes below the keys of agents only', () => {
    expect(JSON.stringify(roles['agent-api'])).not.toMatch(/secretsmanager|kms:GenerateDataKey|lambda:/);
    for (const action of ['PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem', 'Query']) {
      const found = allows('agent-api', `dynamodb:${action}`);
      expect(found, action).toHaveLength(1);
      const keys = list(found[0]?.Condition?.['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'] ?? []);
      expect(keys.length).toBeGreaterThan(0);
      for (const key of keys) expect(text(key)).toMatch(/^\*#(PACT|AGENT|ACK|USE|STRAY)#/);
    }
  });

  it('the archiver adds to the archive and can neither read nor delete; nobody else writes there', () => {
    expect(FUNCTIONS.filter((name) => allows(name, 's3:PutObject').length > 0)).toEqual([
      'revoke-database',
      'record-emergency',
      'archive-audit',
    ]);
    // What the ledger doesn't take is spooled beside the snapshots, which is another bucket.
    for (const name of ['revoke-database', 'record-emergency'] as const) {
      expect(JSON.stringify(allows(name, 's3:PutObject'))).toMatch(/Snapshots[^]*\/intents\/\*/);
      expect(JSON.stringify(allows(name, 's3:PutObject'))).not.toContain('Archive');
    }
    expect(JSON.stringify(roles['archive-audit'])).not.toMatch(/s3:(Get|Delete)/);
  });

  it('the trail of a credential is read where operators ask, and by whoever looks what of a spooled revocation stands there', () => {
    const unbound = (name: string): boolean =>
      allows(name, 'dynamodb:Query').some(
        ({ Resource, Condition }) => Condition === undefined && !JSON.stringify(Resource).includes('/index/'),
      );
    const readers = FUNCTIONS.filter(unbound);
    expect(readers).toContain('control-api');
    expect(readers).toContain('record-emergency');
    expect(readers).not.toContain('receive-signal');
  });

  it('the control API holds no right to any secret', () => {
    expect(JSON.stringify(roles['control-api'])).not.toMatch(/secretsmanager|kms:GenerateDataKey/);
  });

  it('use keys only through a service, or for what it says in its context', () => {
    for (const statements of Object.values(roles)) {
      for (const { Action, Condition } of statements) {
        if (!list(Action).some((each) => text(each).startsWith('kms:'))) continue;
        const bound = Object.keys(Condition?.['StringEquals'] ?? {});
        expect(['kms:ViaService', `kms:EncryptionContext:${SEAL.purpose}`]).toEqual(
          expect.arrayContaining(bound),
        );
        expect(bound).toHaveLength(1);
      }
    }
  });

  it('only check-holders touches workloads, and changes only what its owner has tagged', () => {
    for (const action of ['ecs:UpdateService', 'ecs:DescribeServices', 'lambda:GetFunctionConfiguration']) {
      expect(
        FUNCTIONS.filter((name) => allows(name, action).length > 0),
        action,
      ).toEqual(['check-holders']);
      for (const { Condition } of allows('check-holders', action))
        expect(Condition).toHaveProperty(['StringEquals', 'aws:ResourceTag/rekey:stage']);
    }
    expect(JSON.stringify(roles)).not.toMatch(/lambda:Update|ecs:(Run|Create|Delete|Register)/);
    expect(JSON.stringify(roles['check-holders'])).not.toContain('secretsmanager');
  });

  it('only manage-subscriptions hands a role on: the one that delivers, to EventBridge; and it reaches no other rule', () => {
    expect(FUNCTIONS.filter((name) => allows(name, 'iam:PassRole').length > 0)).toEqual([
      'manage-subscriptions',
    ]);
    const [passes] = allows('manage-subscriptions', 'iam:PassRole');
    expect(JSON.stringify(passes?.Resource)).toMatch(/SubscriptionsDelivery/);
    expect(passes?.Condition).toEqual({
      StringEquals: { 'iam:PassedToService': 'events.amazonaws.com' },
    });
    for (const action of ['PutRule', 'PutTargets', 'RemoveTargets', 'DeleteRule', 'DescribeRule']) {
      expect(FUNCTIONS.filter((name) => allows(name, `events:${action}`).length > 0)).toEqual([
        'manage-subscriptions',
      ]);
      for (const { Resource } of allows('manage-subscriptions', `events:${action}`))
        expect(JSON.stringify(Resource)).toMatch(/:rule\/.*Bus.*\/subscription-\*/);
    }
  });

  it('grant no action by a pattern', () => {
    for (const statements of Object.values(roles)) {
      for (const { Action } of statements) expect(JSON.stringify(Action)).not.toContain('*');
    }
  });
});

import { describe, expect, it } from 'vitest';
import { needsOf, type Here } from '../../../shared/domain/event-target.ts';
import {
  assertRoom,
  outcomeOf,
  planRule,
  ruleNameOf,
  subscriptionOf,
  type SubscriptionRequest,
} from '../../../shared/domain/subscription.ts';
import { EVENT } from '../../../shared/names.ts';

const HERE: Here = {
  account: '111122223333',
  region: 'eu-central-1',
  bus: 'rekey-bus',
  deliveryRole: 'arn:aws:iam::111122223333:role/delivery',
  deadLetters: 'arn:aws:sqs:eu-central-1:111122223333:undelivered',
};
const BY = { actor: 'arn:aws:iam::111122223333:user/olga', at: '2026-11-22T12:00:00.000Z' };

const queue = 'arn:aws:sqs:eu-central-1:111122223333:shop';
const topic = 'arn:aws:sns:eu-central-1:111122223333:shop';
const bus = 'arn:aws:events:eu-central-1:111122223333:event-bus/security';
const abroad = 'arn:aws:events:eu-west-1:444455556666:event-bus/security';
const webhook =
  'arn:aws:events:eu-central-1:111122223333:api-destination/pager/0a1b2c3d-0000-4000-8000-000000000000';

const plan = (request: Partial<SubscriptionRequest> = {}, here: Here = HERE) =>
  planRule({ fleet: 'shop', to: queue, ...request }, here, BY);

describe('the rule of a subscription', () => {
  it('matches the fleet and what concerns every fleet, and by default what agents go by', () => {
    expect(JSON.parse(plan().rule.pattern)).toEqual({
      source: ['rekey'],
      'detail-type': [
        EVENT.announced,
        EVENT.rotated,
        EVENT.retired,
        EVENT.rolledBack,
        EVENT.revoked,
        EVENT.halt,
        EVENT.resume,
      ],
      detail: { fleets: ['shop', '*'] },
    });
    const all = plan({ fleet: '*', events: ['emergency-ended', 'halt', 'halt'] });
    expect(JSON.parse(all.rule.pattern)).toEqual({
      source: ['rekey'],
      'detail-type': [EVENT.halt, EVENT.emergency],
    });
  });

  it('is the same for the same fleet and target, whatever the order of its events, and another for others', () => {
    const events = ['resume', 'halt'] as const;
    expect(plan({ events })).toEqual(plan({ events: ['halt', 'resume'] }));
    const names = [plan(), plan({ fleet: 'shop2' }), plan({ to: topic }), plan({ fleet: '*' })].map(
      ({ rule }) => rule.name,
    );
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^subscription-[0-9a-f]{20}$/);
    expect(ruleNameOf(plan().id)).toBe(plan().rule.name);
  });

  it.each([
    ['a queue', queue, undefined],
    ['a topic', topic, undefined],
    ['a bus', bus, HERE.deliveryRole],
    ['a bus of another account', abroad, HERE.deliveryRole],
    ['an API destination', webhook, HERE.deliveryRole],
  ])('delivers to %s, with a role only where EventBridge needs one', (_what, to, role) => {
    const { target } = plan({ to });
    expect([target.arn, target.role, target.deadLetter]).toEqual([to, role, HERE.deadLetters]);
  });

  it.each([
    [{ to: 'shop' }, 'to', 'give the ARN of an SQS queue'],
    [{ to: 'arn:aws:lambda:eu-central-1:111122223333:function:shop' }, 'to', 'API destination'],
    [{ to: `${queue}.fifo` }, 'to', 'standard'],
    [{ to: `${topic}.fifo` }, 'to', 'standard'],
    [{ to: queue.replace('eu-central-1', 'us-east-1') }, 'to', 'subscribe an event bus of that account'],
    [{ to: topic.replace('111122223333', '444455556666') }, 'to', 'subscribe an event bus of that account'],
    [{ to: webhook.replace('111122223333', '444455556666') }, 'to', 'subscribe an event bus'],
    [{ to: 'arn:aws:events:eu-central-1:111122223333:event-bus/rekey-bus' }, 'to', 'another bus'],
    [{ deadLetter: topic }, 'deadLetter', 'a queue in the account and region'],
    [{ deadLetter: `${queue}.fifo` }, 'deadLetter', 'a queue in the account and region'],
    [{ deadLetter: queue.replace('eu-central-1', 'us-east-1') }, 'deadLetter', 'a queue in the account'],
    [{ events: ['halt', 'emergency-ended'] as const }, 'events', 'every fleet'],
  ])('is refused for %j, naming the field', (request, field, remedy) => {
    expect(() => plan(request)).toThrow(
      expect.objectContaining({ code: 'ERR_REQUEST', field, remedy: expect.stringContaining(remedy) }),
    );
  });

  it('fits what EventBridge takes, whoever asks', () => {
    const long = planRule({ fleet: 'f'.repeat(128), to: queue }, HERE, {
      ...BY,
      actor: `arn:aws:iam::111122223333:user/${'x'.repeat(600)}`,
    });
    expect(long.rule.description.length).toBeLessThanOrEqual(512);
    expect(long.rule.pattern.length).toBeLessThanOrEqual(2048);
    expect(long.rule.name.length).toBeLessThanOrEqual(64);
  });
});

describe('what owners have to do', () => {
  it.each([
    ['a queue', queue, 'sqs:SendMessage'],
    ['a topic', topic, 'sns:Publish'],
  ])('%s lets in this one rule', (_what, to, Action) => {
    const planned = plan({ to });
    expect(needsOf(planned, HERE)).toMatchObject([
      {
        of: to,
        statement: {
          Principal: { Service: 'events.amazonaws.com' },
          Action,
          Resource: to,
          Condition: {
            ArnEquals: {
              'aws:SourceArn': `arn:aws:events:eu-central-1:111122223333:rule/rekey-bus/${planned.rule.name}`,
            },
          },
        },
      },
    ]);
  });

  it('a bus of this account lets the role in already, one of another account has to say so', () => {
    expect(needsOf(plan({ to: bus }), HERE)).toEqual([]);
    expect(needsOf(plan({ to: abroad }), HERE)).toMatchObject([
      { statement: { Principal: { AWS: HERE.deliveryRole }, Action: 'events:PutEvents', Resource: abroad } },
    ]);
  });

  it('a webhook needs a connection, whose secret Rekey never sees', () => {
    const [need] = needsOf(plan({ to: webhook }), HERE);
    expect(need?.text).toContain('Rekey never sees it');
    expect(need).not.toHaveProperty('statement');
  });

  it('so does a dead-letter queue of their own, and the deployment’s doesn’t', () => {
    const deadLetter = 'arn:aws:sqs:eu-central-1:111122223333:shop-undelivered';
    expect(needsOf(plan({ to: bus, deadLetter }), HERE)).toMatchObject([
      { of: deadLetter, statement: { Action: 'sqs:SendMessage', Resource: deadLetter } },
    ]);
  });

  it('in another partition the statements are of it', () => {
    const china = { ...HERE, region: 'cn-north-1', deliveryRole: 'arn:aws-cn:iam::111122223333:role/d' };
    const to = 'arn:aws-cn:sqs:cn-north-1:111122223333:shop';
    expect(JSON.stringify(needsOf(plan({ to }, china), china))).toContain('arn:aws-cn:events:cn-north-1:');
  });
});

describe('a subscription on the bus', () => {
  const { rule, target } = plan();
  const foreign = { id: 'function', arn: 'arn:aws:lambda:eu-central-1:111122223333:function:x' };

  it('tells fleet, events, target, and who asked for it when', () => {
    expect(subscriptionOf(rule, [target])).toEqual({
      id: plan().id,
      fleet: 'shop',
      events: ['announced', 'rotated', 'retired', 'rolled-back', 'revoked', 'halt', 'resume'],
      to: queue,
      deadLetter: HERE.deadLetters,
      state: 'delivering',
      by: BY.actor,
      since: BY.at,
    });
    expect(subscriptionOf(plan({ fleet: '*' }).rule, [target]).fleet).toBe('*');
  });

  it('without its target is incomplete, and still says where to', () => {
    expect(subscriptionOf(rule, [])).toMatchObject({ state: 'incomplete', to: queue, fleet: 'shop' });
  });

  it('that somebody has switched off is disabled, and one that was changed by hand is altered', () => {
    expect(subscriptionOf({ ...rule, enabled: false }, [target]).state).toBe('disabled');
    expect(subscriptionOf(rule, [foreign, target])).toMatchObject({ state: 'altered', to: queue });
    expect(subscriptionOf(rule, [foreign]).state).toBe('altered');
    for (const pattern of ['', 'no json', '{}', '{"detail-type":["x"],"detail":{"fleets":["a","b"]}}']) {
      expect(subscriptionOf({ ...rule, pattern }, [target])).toMatchObject({ state: 'altered', fleet: '' });
    }
    expect(subscriptionOf({ ...rule, description: '' }, [target])).not.toHaveProperty('by');
  });

  it('is compared with what is asked for', () => {
    expect(outcomeOf(plan(), undefined, [])).toBe('subscribed');
    expect(outcomeOf(plan(), rule, [])).toBe('completed');
    expect(outcomeOf(plan(), { ...rule, enabled: false }, [target])).toBe('completed');
    expect(outcomeOf(plan(), rule, [target])).toBe('unchanged');
    expect(outcomeOf(plan({ events: ['halt'] }), rule, [target])).toBe('changed');
    expect(outcomeOf(plan(), rule, [{ ...target, deadLetter: queue }])).toBe('changed');
  });
});

describe('hard decision 14: the ceiling of 300 rules', () => {
  it('leaves room for other rules, and names the way beyond', () => {
    expect(() => assertRoom(279)).not.toThrow();
    expect(() => assertRoom(280)).toThrow(
      expect.objectContaining({ code: 'ERR_CAPACITY', remedy: expect.stringContaining('subscribe --all') }),
    );
  });
});

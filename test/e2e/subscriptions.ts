// Who is subscribed to the events of a fleet, and what reaches them.
import { EventBridgeClient, RemoveTargetsCommand } from '@aws-sdk/client-eventbridge';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import type { World } from '../../local/demo/world.ts';
import type { SubscribeAnswer, SubscriptionsAnswer } from '../../shared/api/messages.ts';
import { EVENT, OUTPUT } from '../../shared/names.ts';
import type { BusEvent } from '../compat/recorded.ts';
import { quiet, rotate } from './deployed.ts';
import { bus, queue, topic, webhook, type Subscriber, type Webhook } from './subscribers.ts';
import { describeUndelivered } from './undelivered.ts';

interface Subscribed {
  readonly orders: Subscriber;
  readonly reports: Subscriber;
  readonly everything: Subscriber;
  readonly filtered: Awaited<ReturnType<typeof topic>>;
  readonly pager: Webhook;
  readonly deaf: Webhook;
}

/**
 * A test that subscribes, at the beginning: what happens from then on has to reach them. The answer defines the tests of what
 * has, once a rotation of `orders` was rolled back and one completed, and an emergency has replaced `reports`.
 */
export function describeSubscribing(given: () => { readonly world: World }): () => void {
  let subscribed: Subscribed;
  afterAll(async () => {
    await subscribed?.pager.close();
    await subscribed?.deaf.close();
  });

  test('a fleet is subscribed to queues, topics, buses and webhooks, and an interrupted subscription is completed', async () => {
    const { world } = given();
    subscribed = {
      orders: await queue(world, 'order-events'),
      reports: await queue(world, 'report-events'),
      everything: await bus(world, 'security'),
      filtered: await topic(world, 'fleets', ['order-agents', 'report-agents']),
      pager: await webhook(world, 'pager', 'of-the-pager', [500, 500, 204]),
      deaf: await webhook(world, 'deaf', 'of-the-deaf', [500]),
    };
    const { orders, reports, everything, filtered, pager, deaf } = subscribed;
    const subscribe = async (...args: string[]): Promise<SubscribeAnswer> =>
      rekeyJson(['subscribe', ...args], world.env);
    const tried = await subscribe('order-agents', '--to', orders.arn, '--dry-run');
    expect(tried).toMatchObject({ outcome: 'subscribed', dryRun: true });
    expect(tried.needs[0]?.statement).toMatchObject({ Action: 'sqs:SendMessage', Resource: orders.arn });
    const list = async (): Promise<SubscriptionsAnswer['subscriptions']> =>
      (await rekeyJson<SubscriptionsAnswer>(['subscriptions'], world.env)).subscriptions;
    expect(await list()).toEqual([]);

    const first = await subscribe('order-agents', '--to', orders.arn);
    expect(first).toMatchObject({ outcome: 'subscribed', subscription: { state: 'delivering' } });
    await subscribe('report-agents', '--to', reports.arn);
    await subscribe('report-agents', '--to', pager.arn, '--events', 'halt,resume');
    await subscribe('report-agents', '--to', deaf.arn, '--events', 'halt');
    await subscribe('--all', '--to', everything.arn, '--events', 'retired,halt,emergency-ended');
    await subscribe('--all', '--to', filtered.arn);
    const again = await subscribe('report-agents', '--to', reports.arn);
    expect(again.outcome).toBe('unchanged');

    // An attempt that died between the rule and its target.
    const events = new EventBridgeClient(world.stack.clientConfig);
    const Rule = `subscription-${first.subscription.id}`;
    const EventBusName = world.output(OUTPUT.bus);
    await events.send(new RemoveTargetsCommand({ EventBusName, Rule, Ids: ['subscriber'] }));
    expect((await list()).find(({ to }) => to === orders.arn)?.state).toBe('incomplete');
    expect(await subscribe('order-agents', '--to', orders.arn)).toMatchObject({ outcome: 'completed' });
    const shown = await list();
    expect(shown.map(({ state }) => state)).toEqual(Array(6).fill('delivering'));
    expect(shown.find(({ to }) => to === orders.arn)).toMatchObject({
      fleet: 'order-agents',
      by: expect.stringMatching(/^arn:aws:/),
    });

    for (const [to, part] of [
      ['arn:aws:lambda:eu-central-1:111122223333:function:x', 'SQS queue'],
      [`${orders.arn}.fifo`, 'standard'],
      [orders.arn.replace(world.stack.accountId, '444455556666'), 'bus of that account'],
    ] as const) {
      const { status, stderr } = await rekey(['subscribe', 'order-agents', '--to', to, '--json'], world.env);
      expect([status, stderr]).toEqual([1, expect.stringContaining(part)]);
    }
    expect(await list()).toHaveLength(6);
  });

  return () => {
    test('hard decision 14: a fleet hears of what concerns it and of nothing else, an emergency included', async () => {
      const { orders, reports, everything, filtered, pager } = subscribed;
      const types = (events: readonly BusEvent[]): string[] => [
        ...new Set(events.map((event) => event['detail-type'])),
      ];
      const has = async (of: Subscriber, ...wanted: string[]): Promise<readonly BusEvent[]> => {
        let events = await of.received();
        const end = Date.now() + 60_000;
        for (; !wanted.every((type) => types(events).includes(type)) && Date.now() < end; await sleep(250))
          events = await of.received();
        expect(types(events)).toEqual(expect.arrayContaining(wanted));
        return events;
      };
      const planned = [EVENT.announced, EVENT.rotated, EVENT.retired];
      const urgent = [EVENT.revoked, EVENT.halt, EVENT.resume];
      const ofOrders = await has(orders, ...planned, EVENT.rolledBack);
      const ofReports = await has(reports, ...planned, ...urgent);
      const fleets = (events: readonly BusEvent[]): string[] => [
        ...new Set(events.map(({ detail }) => JSON.stringify(detail['fleets']))),
      ];
      expect(fleets(ofOrders)).toEqual(['["order-agents"]']);
      expect(fleets(ofReports)).toEqual(['["report-agents"]']);
      expect(types(ofOrders).filter((type) => urgent.some((each) => each === type))).toEqual([]);

      const paged = await has(pager, EVENT.halt, EVENT.resume);
      // In any order: its first call is refused twice, and comes again when the other may have come.
      expect(types(paged).sort()).toEqual([EVENT.halt, EVENT.resume].sort());
      expect(fleets(paged)).toEqual(['["report-agents"]']);
      expect(pager.calls[0]?.headers).toMatchObject({ 'x-api-key': 'of-the-pager' });

      const forwarded = await has(everything, EVENT.retired, EVENT.halt, EVENT.emergency);
      expect(new Set(types(forwarded))).toEqual(new Set([EVENT.retired, EVENT.halt, EVENT.emergency]));

      const [throughFilter, others] = filtered.behind;
      const ids = (events: readonly BusEvent[]): Set<unknown> =>
        new Set(events.map(({ detail }) => detail['id']));
      if (throughFilter === undefined || others === undefined) throw new Error('a topic has two subscribers');
      expect(ids(await has(throughFilter, ...planned))).toEqual(ids(await has(orders)));
      expect(ids(await has(others, ...planned, ...urgent))).toEqual(ids(await has(reports)));
    });

    describeUndelivered(() => ({ ...given(), ...subscribed }));

    test('a subscription that was ended delivers nothing any more, and the others go on', async () => {
      const { world } = given();
      const { orders, everything } = subscribed;
      const before = (await orders.received()).length;
      const others = (await everything.received()).length;
      expect((await rekey(['unsubscribe', 'order-agents'], world.env)).stdout).toContain('unsubscribed');
      expect((await rekey(['unsubscribe', 'order-agents'], world.env)).status).toBe(1);
      await follow(world, 'orders', await rotate(world, 'orders'), quiet);
      for (const end = Date.now() + 60_000; Date.now() < end; await sleep(250))
        if ((await everything.received()).length > others) break;
      expect((await everything.received()).at(-1)).toMatchObject({ 'detail-type': EVENT.retired });
      expect(await orders.received()).toHaveLength(before);
    });
  };
}

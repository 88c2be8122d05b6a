import { beforeEach, describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Here } from '../../../shared/domain/event-target.ts';
import type { Rule, RuleTarget, SubscriptionRequest } from '../../../shared/domain/subscription.ts';
import {
  listSubscriptions,
  subscribe,
  unsubscribe,
  type SubscriptionDeps,
} from '../../../shared/engine/subscriptions.ts';
import type { Rules } from '../../../shared/ports/rules.ts';

const HERE: Here = {
  account: '111122223333',
  region: 'eu-central-1',
  bus: 'rekey-bus',
  deliveryRole: 'arn:aws:iam::111122223333:role/delivery',
  deadLetters: 'arn:aws:sqs:eu-central-1:111122223333:undelivered',
};
const QUEUE = 'arn:aws:sqs:eu-central-1:111122223333:shop';

/** The rules of a bus in memory; `dies` ends the process before a call, once. */
class FakeRules implements Rules {
  readonly on = new Map<string, { rule: Rule; targets: RuleTarget[] }>();
  others = 0;
  dies: keyof Rules | undefined;
  refuses: RekeyError | undefined;

  #turn(call: keyof Rules): void {
    if (this.dies !== call) return;
    this.dies = undefined;
    throw new Error('the process died');
  }
  async count() {
    return Promise.resolve(this.on.size + this.others);
  }
  async list() {
    return Promise.resolve({ rules: [...this.on.values()].map(({ rule }) => rule) });
  }
  async find(name: string) {
    return Promise.resolve(this.on.get(name)?.rule);
  }
  async put(rule: Rule) {
    this.#turn('put');
    this.on.set(rule.name, { targets: [], ...this.on.get(rule.name), rule });
    return Promise.resolve();
  }
  async targets(rule: string) {
    return Promise.resolve(this.on.get(rule)?.targets ?? []);
  }
  async putTarget(rule: string, target: RuleTarget) {
    this.#turn('putTarget');
    if (this.refuses !== undefined) throw this.refuses;
    const found = this.on.get(rule);
    if (found !== undefined) found.targets = [...found.targets.filter(({ id }) => id !== target.id), target];
    return Promise.resolve();
  }
  async remove(rule: string) {
    this.#turn('remove');
    this.on.delete(rule);
    return Promise.resolve();
  }
}

let rules: FakeRules;
let deps: SubscriptionDeps;
beforeEach(() => {
  rules = new FakeRules();
  deps = { rules, here: HERE, clock: () => Date.parse('2026-11-22T12:00:00.000Z') };
});

const ask = (changes: Partial<SubscriptionRequest> & { dryRun?: boolean; actor?: string } = {}) =>
  subscribe(deps, { fleet: 'shop', to: QUEUE, actor: 'arn:olga', dryRun: false, ...changes });
const states = async () => (await listSubscriptions(deps)).subscriptions.map(({ state }) => state);

describe('subscribing', () => {
  it('the same again changes nothing, and keeps who asked first', async () => {
    const first = await ask();
    expect(first.outcome).toBe('subscribed');
    expect(await ask({ actor: 'arn:otto' })).toMatchObject({
      outcome: 'unchanged',
      subscription: { by: 'arn:olga', id: first.subscription.id },
    });
    expect(await states()).toEqual(['delivering']);
  });

  it('with other events changes the one rule, and says by whom', async () => {
    await ask();
    expect(await ask({ actor: 'arn:otto', events: ['halt'] })).toMatchObject({
      outcome: 'changed',
      subscription: { events: ['halt'], by: 'arn:otto' },
    });
    expect(await states()).toEqual(['delivering']);
  });

  it.each(['put', 'putTarget'] as const)(
    'that died before %s is completed by the same again',
    async (call) => {
      rules.dies = call;
      await expect(ask()).rejects.toThrow('died');
      expect(await states()).toEqual(call === 'put' ? [] : ['incomplete']);
      expect((await ask()).outcome).toBe(call === 'put' ? 'subscribed' : 'completed');
      expect(await states()).toEqual(['delivering']);
    },
  );

  it('to what EventBridge refuses leaves nothing behind, and no harm to what was there', async () => {
    rules.refuses = new RekeyError('ERR_REQUEST', 'no such target', { field: 'to' });
    await expect(ask()).rejects.toMatchObject({ code: 'ERR_REQUEST', field: 'to' });
    expect(rules.on.size).toBe(0);
    rules.refuses = undefined;
    await ask();
    rules.refuses = new RekeyError('ERR_REQUEST', 'no such target', { field: 'to' });
    await expect(ask({ events: ['halt'] })).rejects.toMatchObject({ code: 'ERR_REQUEST' });
    expect(rules.on.size).toBe(1);
  });

  it('for trial changes nothing and says the same', async () => {
    expect(await ask({ dryRun: true })).toMatchObject({
      outcome: 'subscribed',
      needs: [{ of: QUEUE }],
      subscription: { fleet: 'shop', to: QUEUE },
    });
    expect(rules.on.size).toBe(0);
  });

  it('is refused where the bus is nearly full, but what is there can still be changed', async () => {
    await ask();
    rules.others = 299;
    await expect(ask({ fleet: 'search' })).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
    await expect(ask({ fleet: 'search', dryRun: true })).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
    expect((await ask({ events: ['halt'] })).outcome).toBe('changed');
  });
});

describe('ending a subscription', () => {
  it('takes its rule, and is success again', async () => {
    const { subscription } = await ask();
    await ask({ fleet: 'search' });
    const { id } = subscription;
    expect(await unsubscribe(deps, { id, dryRun: true })).toMatchObject({ outcome: 'unsubscribed' });
    expect(rules.on.size).toBe(2);
    expect(await unsubscribe(deps, { id, dryRun: false })).toEqual({ outcome: 'unsubscribed', subscription });
    expect(await unsubscribe(deps, { id, dryRun: false })).toEqual({ outcome: 'unchanged' });
    expect((await listSubscriptions(deps)).subscriptions.map(({ fleet }) => fleet)).toEqual(['search']);
  });

  it('refuses what is no id: no other rule is in reach', async () => {
    for (const id of ['', '../x', 'a/b', 'x'.repeat(60)])
      await expect(unsubscribe(deps, { id, dryRun: false })).rejects.toMatchObject({ field: 'id' });
  });
});

import type { SQSEvent, SQSRecord } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { forwarder, type ForwardOptions } from '../../../examples/forward-events.ts';
import { AUTHORIZATION, startBrokers, type Brokers } from '../../fakes/brokers.ts';

let brokers: Brokers;
beforeEach(async () => {
  brokers = await startBrokers();
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await brokers.close();
});

const event = (id: string) => ({
  source: 'rekey',
  'detail-type': 'Agents Halt',
  detail: { id, credentialId: `credential-of-${id}`, fleets: ['shop'] },
});
const batch = (...bodies: string[]): SQSEvent => ({
  // Of a record the forwarder reads id and body only.
  Records: bodies.map((body, index) => ({ messageId: `m${index}`, body }) as SQSRecord),
});
const two = batch(JSON.stringify(event('1')), JSON.stringify(event('2')));

const forward = (broker: 'pubsub' | 'kafka', changes: Partial<ForwardOptions> = {}) =>
  forwarder({ broker, url: brokers[broker], authorization: async () => AUTHORIZATION, ...changes });
const failed = (...ids: string[]) => ({
  batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })),
});

describe.each(['pubsub', 'kafka'] as const)('forwarding to %s', (broker) => {
  it('hands on each event whole, with what tells repetitions apart', async () => {
    expect(await forward(broker)(two)).toEqual(failed());
    expect(brokers.held.map(({ value }) => value)).toEqual(expect.arrayContaining([event('1'), event('2')]));
    for (const { value, key, attributes } of brokers.held) {
      const { id, credentialId } = (value as ReturnType<typeof event>).detail;
      if (broker === 'kafka') expect(key).toBe(credentialId);
      else expect(attributes).toEqual({ id, type: 'Agents Halt' });
    }
  });

  it.each(['busy', 'redirect', 'hang', 'lose-answer'] as const)(
    'names what failed (%s) and nothing else, and its repetition arrives',
    async (mood) => {
      brokers.moods.push(mood);
      const { batchItemFailures } = await forward(broker, { timeoutMs: 200 })(two);
      expect(batchItemFailures).toHaveLength(1);
      const [again] = batchItemFailures.map(({ itemIdentifier }) =>
        two.Records.filter(({ messageId }) => messageId === itemIdentifier),
      );
      expect(await forward(broker)({ Records: again ?? [] })).toEqual(failed());
      const ids = new Set(brokers.held.map(({ value }) => (value as ReturnType<typeof event>).detail.id));
      expect(ids).toEqual(new Set(['1', '2']));
    },
  );

  it('fails every message without authorization, on an unknown topic, or with a body that is no event', async () => {
    const nobody = forward(broker, { authorization: async () => 'Bearer stranger' });
    expect(await nobody(two)).toEqual(failed('m0', 'm1'));
    expect(await forward(broker, { url: `${brokers[broker]}x` })(two)).toEqual(failed('m0', 'm1'));
    expect(await forward(broker)(batch('no json', JSON.stringify(event('3'))))).toEqual(failed('m0'));
  });
});

describe('a Kafka proxy that refuses inside an answer of 200', () => {
  it('has not taken the event', async () => {
    brokers.moods.push('refuse-inside');
    const { batchItemFailures } = await forward('kafka')(two);
    expect([batchItemFailures.length, brokers.held.length]).toEqual([1, 1]);
  });
});

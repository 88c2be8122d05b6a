import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { EmergencyAnswer, UsesAnswer } from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { keyCall } from '../support/cloudtrail.ts';
import { keyIn, nameOf, playedAs, type PlayedUpstream } from './upstreams/played.ts';

interface Given {
  readonly world: World;
  readonly upstreams: readonly PlayedUpstream[];
  readonly read: (one: PlayedUpstream) => Promise<string>;
}

/** What upstreams tell of uses, kept by the deployed functions and told to whoever investigates. */
export function testToldUses(given: () => Given): void {
  const told = async (one: PlayedUpstream): Promise<UsesAnswer['upstream']> =>
    (await rekeyJson<UsesAnswer>(['uses', nameOf(one)], given().world.env)).upstream;

  test('what OpenAI has counted of a key is asked for once an emergency has ended it', async () => {
    const { world, upstreams, read } = given();
    const one = playedAs('llm-key/openai', upstreams);
    const { baseUrl = '' } = one.entry.target as { readonly baseUrl?: string };
    const thief = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${stolen}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ model: 'gpt-5-pro', messages: [] });
      return (await fetch(`${baseUrl}/chat/completions`, { method: 'POST', headers, body })).status;
    };
    const stolen = keyIn(await read(one));
    expect([await thief(), await thief()]).toEqual([200, 200]);
    const ended = await rekeyJson<EmergencyAnswer>(
      ['revoke', nameOf(one), '--incident', 'INC-10', '--reason', 'test', '--yes', '--wait'],
      world.env,
      120_000,
    );
    expect([ended.status, await thief()]).toEqual(['SUCCEEDED', 401]);
    const counted = async () => (await told(one)).filter(({ scope }) => scope === 'gpt-5-pro');
    // Two where a minute ended between them.
    await expect
      .poll(async () => (await counted()).reduce((sum, { succeeded = 0 }) => sum + succeeded, 0), {
        timeout: 90_000,
        interval: 1000,
      })
      .toBe(2);
    for (const use of await counted())
      expect(use).toMatchObject({ source: 'provider-usage', who: 'proj_1/sa_1', keyId: expect.any(String) });
  });

  test('a call with an access key is kept as CloudTrail tells of it, and one with a key of nobody is not', async () => {
    const { world, upstreams, read } = given();
    const one = playedAs('cloud-key/aws-iam', upstreams);
    const { user } = one.entry.target as { readonly user: string };
    const { accessKeyId = '' } = JSON.parse(await read(one)) as { accessKeyId?: string };
    const call = (key: string, name: string) =>
      keyCall(key, name, {
        eventTime: toInstant(Date.now()),
        eventID: randomUUID(),
        requestID: randomUUID(),
      });
    await world.stack.gateway.cloudTrail(call('AKIANOBODYSKEYEXAMPL', 'nobody'));
    await world.stack.gateway.cloudTrail(call(accessKeyId, user));
    const calls = async () => (await told(one)).filter(({ scope }) => scope === 's3:ListBuckets');
    await expect
      .poll(calls, { timeout: 90_000, interval: 1000 })
      .toMatchObject([{ source: 'cloudtrail', keyId: accessKeyId, address: '203.0.113.7' }]);
  });
}

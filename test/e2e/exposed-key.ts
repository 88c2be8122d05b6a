import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { AuditAnswer, ShowAnswer } from '../../shared/api/messages.ts';
import { nameOf, playedAs, type PlayedUpstream } from './upstreams/played.ts';

interface Given {
  readonly world: World;
  readonly upstreams: readonly PlayedUpstream[];
  readonly read: (one: PlayedUpstream) => Promise<string>;
}

/** What AWS Health tells of access keys that were found in public, on the deployed functions. */
export function testExposedKey(given: () => Given): void {
  test('an access key that AWS has found in public dies and is replaced, and the same again does nothing', async () => {
    const { world, upstreams, read } = given();
    const one = playedAs('cloud-key/aws-iam', upstreams);
    const show = (): Promise<ShowAnswer> => rekeyJson(['show', nameOf(one)], world.env);
    const trail = async () =>
      (await rekeyJson<AuditAnswer>(['audit', '--credential', nameOf(one)], world.env)).events ?? [];
    const resumed = async (): Promise<number> =>
      (await trail()).filter(({ action }) => action === 'agents-resumed').length;
    const earlier = await resumed();
    const old = await read(one);
    expect(await one.takes(old)).toBe(true);
    const { accessKeyId = '' } = JSON.parse(old) as { accessKeyId?: string };
    const keys = ['AKIANOBODYSKEYEXAMPL', accessKeyId];
    const tell = (): Promise<void> => world.stack.gateway.health(exposure(keys), keys);

    await tell();
    await expect.poll(() => one.takes(old), { timeout: 60_000, interval: 500 }).toBe(false);
    await expect.poll(resumed, { timeout: 60_000, interval: 500 }).toBe(earlier + 1);
    expect([await one.takes(await read(one)), await one.live()]).toEqual([true, 1]);
    expect((await show()).rotations[0]?.trigger).toMatchObject({
      kind: 'emergency',
      actor: 'signal:aws-health',
    });

    // As it comes by way of the other region.
    const before = await trail();
    await tell();
    await sleep(3000);
    expect(await trail()).toEqual(before);
  });
}

/** An event of AWS Health about access keys, as its user guide has them. */
function exposure(keys: readonly string[]): object {
  return {
    eventArn: 'arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/one',
    service: 'RISK',
    eventTypeCode: 'AWS_RISK_CREDENTIALS_EXPOSED',
    eventTypeCategory: 'issue',
    eventScopeCode: 'ACCOUNT_SPECIFIC',
    affectedEntities: keys.map((entityValue) => ({ entityValue, status: 'IMPAIRED' })),
  };
}

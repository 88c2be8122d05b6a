import { describe, expect, it } from 'vitest';
import { takeEach } from '../../../lambdas/receive-notice/answer.ts';
import { awsHealthSignals } from '../../../shared/domain/signals/aws-health.ts';
import type { SignalOutcome } from '../../../shared/engine/signals/deps.ts';
import { SignalWorld } from '../../support/signal-world.ts';

const KEY = 'AKIAIOSFODNN7EXAMPLE';
const NOW = Date.parse('2026-11-26T10:00:00.000Z');

/** As the user guide of AWS Health has events in EventBridge. */
function event(
  keys: readonly string[] = [KEY],
  detail: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    version: '0',
    id: '7bf73129-1428-4cd3-a780-95db273d1602',
    'detail-type': 'AWS Health Event',
    source: 'aws.health',
    account: '111122223333',
    time: '2026-11-26T09:58:00Z',
    region: 'us-east-1',
    resources: keys,
    detail: {
      eventArn: 'arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/one',
      service: 'RISK',
      eventTypeCode: 'AWS_RISK_CREDENTIALS_EXPOSED',
      eventTypeCategory: 'issue',
      eventScopeCode: 'ACCOUNT_SPECIFIC',
      communicationId: 'one-1',
      startTime: 'Thu, 26 Nov 2026 09:57:00 GMT',
      eventRegion: 'us-east-1',
      affectedEntities: keys.map((entityValue) => ({ entityValue, status: 'IMPAIRED' })),
      affectedAccount: '111122223333',
      page: '1',
      totalPages: '1',
      ...detail,
    },
  };
}

async function sent(one: SignalWorld, input: object): Promise<SignalOutcome['act'][]> {
  const { outcomes } = await takeEach(one.services, awsHealthSignals(input, one.now));
  return outcomes.map(({ act }) => act);
}

/** A world whose IAM key is the one of the event. */
async function withKey(): Promise<SignalWorld> {
  const one = await SignalWorld.start();
  one.add('deployer', 'the-secret-key', { type: 'cloud-key', live: [{ id: KEY, generation: 1 }] });
  one.add('other', 'another-secret-key', {
    type: 'cloud-key',
    live: [{ id: 'AKIAOTHERKEYEXAMPLE0', generation: 1 }],
  });
  return one;
}

describe('what AWS Health tells of access keys', () => {
  it('acts on every key of an event although one of them fails, and is given again then', async () => {
    const one = await withKey();
    const { workflow } = one.services.deps;
    const { startEmergency } = workflow;
    const broken = new Error('no answer');
    Object.assign(workflow, {
      startEmergency: async (...args: Parameters<typeof startEmergency>) =>
        args[1].credentials.some(({ credentialId }) => credentialId === 'id-deployer')
          ? Promise.reject(broken)
          : startEmergency(...args),
    });
    const signals = awsHealthSignals(event([KEY, 'AKIAOTHERKEYEXAMPLE0']), one.now);
    const { outcomes, error } = await takeEach(one.services, signals);
    expect(outcomes).toMatchObject([{ act: 'revoke', credentials: ['other'] }]);
    expect(error).toBe(broken);
  });

  it('revokes the one that was found in public, and no other', async () => {
    const one = await withKey();
    expect(await sent(one, event())).toEqual(['revoke']);
    expect(one.emergencies.map(({ credentials }) => credentials)).toEqual([
      [{ credentialId: 'id-deployer', type: 'cloud-key' }],
    ]);
    expect(one.drafts).toMatchObject([{ action: 'leak-reported', trigger: { actor: 'signal:aws-health' } }]);
  });

  it('rotates where AWS only suspects it', async () => {
    for (const code of ['EXPOSURE_SUSPECTED', 'COMPROMISE_SUSPECTED', 'SOMETHING_NEW']) {
      const one = await withKey();
      expect(await sent(one, event([KEY], { eventTypeCode: `AWS_RISK_CREDENTIALS_${code}` }))).toEqual([
        'rotate',
      ]);
      expect(one.emergencies).toEqual([]);
    }
  });

  it('counts once, also as the backup from another region and as what AWS adds to it later', async () => {
    const one = await withKey();
    await sent(one, event());
    const again = {
      ...event([KEY], { communicationId: 'one-2', backupEvent: 'true' }),
      region: 'us-west-2',
      id: 'x',
    };
    expect(await sent(one, again)).toEqual(['repeated']);
    expect(one.emergencies).toHaveLength(1);
  });

  it('about a key that is not ours is for a person to look at', async () => {
    const one = await withKey();
    expect(await sent(one, event(['AKIAUNKNOWNKEYEXAMPL']))).toEqual(['look']);
    expect([one.emergencies, one.records]).toEqual([[], []]);
  });

  it('stops at the caps: a flood of keys is held for people beyond them', async () => {
    const one = await SignalWorld.start();
    const keys = Array.from({ length: 8 }, (_, n) => `AKIAEXAMPLEKEY00000${n}`);
    for (const [n, id] of keys.entries())
      one.add(`k-${n}`, `value-${n}-0123456789`, { type: 'cloud-key', live: [{ id, generation: 1 }] });
    const acts = await sent(one, event(keys));
    expect(acts).toEqual(['revoke', 'revoke', 'revoke', 'hold', 'hold', 'hold', 'hold', 'hold']);
  });

  it('names a key by what IAM calls it, and nothing else of what is affected', () => {
    const found = awsHealthSignals(event([KEY, KEY, 'user/deployer', 'deployer@example.com', '']), NOW);
    expect(found.map(({ handle }) => handle)).toEqual([KEY]);
    expect(found[0]).toMatchObject({
      observedAt: '2026-11-26T09:58:00.000Z',
      verified: true,
      fingerprints: [],
    });
  });

  it.each([
    ['no event', {}],
    ['of another source', { ...event(), source: 'com.example' }],
    ['of another service', event([KEY], { eventTypeCode: 'AWS_EC2_OPERATIONAL_ISSUE' })],
    ['without what is affected', event([KEY], { affectedEntities: undefined })],
  ])('that is %s is refused, without a quote of it', (_what, input) => {
    expect(() => awsHealthSignals(input, NOW)).toThrow('this is no event of AWS Health about credentials');
  });
});

// What Rekey's own rules notice on a deployed stack: a reader whom nobody has declared.
import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { describe, expect, test } from 'vitest';
import { agentsCredential } from '../../local/demo/agent.ts';
import { settledArchive } from '../../local/demo/archive.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { AuditAnswer, ShowAnswer } from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { OUTPUT } from '../../shared/names.ts';
import { assumedRole, readRecord } from '../support/cloudtrail.ts';
import { apply, type Deployed } from './deployed.ts';
import { listener } from './subscribers.ts';

const POLICY = { interval: '14d', window: '5s', deadline: '60s', cap: '5m', soak: '1s' };

/** Tests of what is noticed without a source that signs. */
export function describeNotices(given: () => Deployed): void {
  describe('what the own rules notice', () => {
    const show = async (name: string): Promise<ShowAnswer> => rekeyJson(['show', name], given().world.env);
    const trail = async (name: string) =>
      (await rekeyJson<AuditAnswer>(['audit', '--credential', name], given().world.env)).events ?? [];

    test('a reader who is none of the declared holders is told of once, by a page that names the credential, and nothing is rotated', async () => {
      const { world } = given();
      const { stack } = world;
      const principal = `arn:aws:iam::${stack.accountId}:role/watched-agents`;
      const holders = [{ kind: 'polling', name: 'watched-agents', ttl: '2s', agents: 1, principal }];
      expect(
        await apply(world, await agentsCredential(world, 'watched', { policy: POLICY, holders })),
      ).toMatchObject({
        status: 0,
      });
      const pages = await listener(world, world.output(OUTPUT.alarms));
      const reads = async (role: string): Promise<void> =>
        stack.gateway.cloudTrail(
          readRecord('agents/watched', assumedRole(role, 'host-1'), {
            eventTime: toInstant(Date.now()),
            eventID: crypto.randomUUID(),
          }),
        );
      await reads('watched-agents');
      await reads('stranger');
      const seen = async () => (await trail('watched')).filter(({ action }) => action === 'anomaly-seen');
      await expect
        .poll(
          async () => {
            await weigh(world);
            return seen();
          },
          { timeout: 90_000, interval: 1000 },
        )
        .toHaveLength(1);
      const { records } = await rekeyJson<AuditAnswer>(['audit'], world.env);
      const archived = await settledArchive(stack, world.output(OUTPUT.archive), records);
      const [record] = archived.filter(({ message }) => message === 'anomaly-seen');
      expect(record?.entity.name).toBe('watched');
      expect(JSON.parse(record?.entity.data.evidence ?? '')).toMatchObject({
        outcome: 'told',
        severity: 'high',
        reasons: [{ rule: 'undeclared', who: expect.stringContaining('role/stranger') }],
      });
      await expect
        .poll(pages, { timeout: 30_000 })
        .toContainEqual(expect.stringMatching(/anomaly-seen of watched.*#unusual-use/s));

      await reads('stranger');
      await sleep(3000);
      await weigh(world);
      expect([await seen(), (await show('watched')).rotations]).toMatchObject([{ length: 1 }, { length: 0 }]);
    });
  });
}

/** What the schedule does every five minutes. */
async function weigh({ stack }: World): Promise<void> {
  const lambda = new LambdaClient(stack.clientConfig);
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({ MaxItems: 200 }));
  const { FunctionName } =
    Functions.find(({ Environment }) =>
      Object.values(Environment?.Variables ?? {}).includes('receive-notice'),
    ) ?? {};
  const { FunctionError } = await lambda.send(
    new InvokeCommand({ FunctionName, Qualifier: 'live', Payload: '{}' }),
  );
  lambda.destroy();
  expect(FunctionError).toBeUndefined();
}

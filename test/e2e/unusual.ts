import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { expect, test } from 'vitest';
import { readArchive } from '../../local/demo/archive.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { ShowAnswer } from '../../shared/api/messages.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { OUTPUT } from '../../shared/names.ts';
import { lambdaSession, readRecord } from '../support/cloudtrail.ts';

const DAY_MS = 86_400_000;
const DAYS = 10;
const HOURS = [9, 10, 11, 12];

/** What the rules of Rekey's own find unusual, on the deployed stack: what CloudTrail tells is made up, days of it. */
export function describeUnusual(of: () => World): void {
  test('a read from a network in which a reader was never seen is told in the trail, once, and rotates nothing', async () => {
    const world = of();
    const identity = lambdaSession('billing-reader', 'billing-reader');
    const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
    const read = async (at: number, address: string): Promise<void> =>
      world.stack.gateway.cloudTrail(
        readRecord('agents/reports', identity, {
          eventTime: toInstant(at),
          eventID: `${at}-${address}`,
          sourceIPAddress: address,
        }),
      );
    for (let day = DAYS; day > 0; day--)
      for (const hour of HOURS) await read(today - day * DAY_MS + hour * 3_600_000, '10.0.0.7');
    // Those before are learnt once they were taken from the queue.
    await sleep(5000);
    await read(Date.now() - 1000, '198.51.100.9');
    const told = async (): Promise<AuditRecord[]> =>
      (await readArchive(world.stack, world.output(OUTPUT.archive))).filter(
        ({ message }) => message === 'anomaly-seen',
      );
    for (const end = Date.now() + 90_000; (await told()).length === 0 && Date.now() < end; await sleep(2000))
      await weigh(world);
    await weigh(world);
    const records = await told();
    expect(records.map(({ entity }) => entity.name)).toEqual(['reports']);
    expect(JSON.parse(records[0]?.entity.data.evidence ?? '')).toMatchObject({
      outcome: 'told',
      reasons: [{ rule: 'network', who: expect.stringContaining('billing-reader') }],
    });
    const { rotations } = await rekeyJson<ShowAnswer>(['show', 'reports'], world.env);
    expect(rotations.filter(({ trigger }) => trigger.kind === 'signal')).toEqual([]);
  });
}

async function weigh(world: World): Promise<void> {
  const lambda = new LambdaClient(world.stack.clientConfig);
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({ MaxItems: 100 }));
  const own = Functions.find(({ Environment }) =>
    Object.values(Environment?.Variables ?? {}).includes('receive-notice'),
  );
  const { FunctionError } = await lambda.send(
    new InvokeCommand({ FunctionName: own?.FunctionName, Payload: '{}' }),
  );
  lambda.destroy();
  expect(FunctionError).toBeUndefined();
}

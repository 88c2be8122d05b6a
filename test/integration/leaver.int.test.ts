import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { StagedOutcome } from '../../cli/staged.ts';
import { servicesOf, serveApi } from '../compat/api.ts';
import { dueFleet, type DueFleet } from '../support/due-fleet.ts';
import { startTable } from '../support/table.ts';
import { rekey } from '../unit/cli/stand-in.ts';

let table: Awaited<ReturnType<typeof startTable>>;
beforeAll(async () => {
  table = await startTable('leaver-test');
});
afterAll(async () => {
  await table.stack.stop();
});

const ROLE = 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123';
const AGENT = {
  kind: 'client',
  name: 'order-agent',
  principal: 'arn:aws:iam::111122223333:role/order-agent',
} as const;

/** A ledger of a tenant of its own, with the API and the command line over it. */
async function deployment(size: number, head: (n: number) => Partial<Credential> = () => ({})) {
  const fleet = await dueFleet(table, size, head);
  const [some] = (await fleet.deps.ledger.list()).items;
  const store = { aws: table.aws, table: 'ledger', tenant: some?.tenant ?? '', clock: fleet.deps.clock };
  const deps = { ...fleet.deps, readers: new DynamoDbReaderLog(store), agents: new DynamoDbAgents(store) };
  const never = (): never => {
    throw new Error('nothing registers here');
  };
  const { url, close } = await serveApi(servicesOf(deps, never), () => undefined);
  const api = { url, seen: [], routes: {}, close };
  const run = async (...args: string[]) => {
    const { exit, stdout, stderr } = await rekey(api, [...args, '--json']);
    return { exit, stderr, answer: stdout === '' ? undefined : (JSON.parse(stdout) as StagedOutcome) };
  };
  return { ...fleet, deps, run, close };
}

/** The rotations under way are completed, each with another value. */
async function complete({ deps, ids }: Pick<DueFleet, 'deps' | 'ids'>): Promise<void> {
  for (const id of ids) {
    const before = await deps.ledger.credential(id);
    const rotation = await deps.ledger.rotation(id, before?.activeRotation ?? '');
    if (before === undefined || rotation === undefined) continue;
    const { activeRotation: _over, ...rest } = before;
    const key = {
      handle: { id: 'b', generation: 2 },
      versionId: rotation.id,
      fingerprint: 'sha256:2',
      issuedAt: toInstant(deps.clock() + 1),
    };
    await deps.ledger.commit({
      before,
      after: { ...rest, current: key, live: [key.handle], generation: 2 },
      rotation: { ...rotation, phase: 'completed', next: key },
      records: [{ action: 'retired', time: toInstant(deps.clock()), trigger: rotation.trigger }],
    });
  }
}

const acts = ({ answer }: { answer: StagedOutcome | undefined }) =>
  Object.fromEntries(
    [...Map.groupBy(answer?.steps ?? [], ({ act }) => act)].map(([act, ones]) => [act, ones.length]),
  );

describe('rekey revoke --known-by', () => {
  const about = ['--incident', 'HR-77', '--reason', 'ada leaves'];

  test('rotates what she has read or is declared to know, of hundreds, once, and ends', async () => {
    const size = 150;
    const one = await deployment(size, (n) =>
      n % 3 === 0 ? { knownBy: [{ name: 'Ada@example.com', version: 'of the day' }] } : {},
    );
    for (const id of one.ids.slice(0, 100)) {
      const head = await one.deps.ledger.credential(id);
      if (head?.knownBy !== undefined)
        await one.deps.ledger.attach({ ...head, knownBy: [{ name: 'Ada@example.com', version: id }] });
    }
    const seen = toInstant(one.deps.clock());
    for (const id of one.ids.slice(140)) {
      const secret = (await one.deps.ledger.credential(id))?.secretName ?? '';
      const reader = { kind: 'person', principal: ROLE, name: 'ada@example.com' } as const;
      await one.deps.readers.saw(secret, { ...reader, firstSeen: seen, lastSeen: seen });
    }
    const order = ['revoke', '--known-by', 'ada@example.com', ...about];

    expect(acts(await one.run(...order, '--dry-run'))).toEqual({ start: 44 });
    expect(one.started).toEqual([]);
    const first = await one.run(...order);
    expect([first.exit, acts(first)]).toEqual([0, { started: 44 }]);
    const why = new Set(first.answer?.steps.flatMap((step) => step.why));
    expect(why).toEqual(
      new Set(['Ada@example.com is declared to know it', `ada@example.com read it at ${seen}, as ${ROLE}`]),
    );
    expect(acts(await one.run(...order))).toEqual({ joined: 44 });
    expect(new Set(one.started).size).toBe(44);

    await complete(one);
    const last = await one.run(...order);
    expect([last.exit, last.answer?.steps]).toEqual([0, []]);
    const bob = await one.run('revoke', '--known-by', 'bob', ...about);
    expect([bob.exit, JSON.parse(bob.stderr)]).toMatchObject([
      1,
      {
        error: {
          code: 'ERR_NOT_FOUND',
          remedy: expect.stringContaining('known are: ada@example.com') as string,
        },
      },
    ]);
    await one.close();
  });

  test('tells of whoever imported a value until it is replaced, and knows them afterwards', async () => {
    const one = await deployment(2, (n) => (n === 0 ? { adoption: 'adopted' } : {}));
    const [id = ''] = one.ids;
    const before = await one.deps.ledger.credential(id);
    if (before === undefined) throw new Error('not registered');
    await one.deps.ledger.commit({
      before,
      after: before,
      records: [
        {
          action: 'adopted',
          time: before.registeredAt,
          trigger: { kind: 'operator', actor: 'arn:aws:sts::1:assumed-role/Operator/Eve' },
          newFingerprint: before.current?.fingerprint ?? '',
        },
      ],
    });
    const order = ['revoke', '--known-by', 'eve', ...about];
    const first = await one.run(...order);
    expect(first.answer?.steps).toMatchObject([
      { act: 'started', why: [expect.stringMatching(/^eve imported it at /)] },
    ]);
    await complete(one);
    expect(await one.run(...order)).toMatchObject({ exit: 0, answer: { steps: [] } });
    await one.close();
  });
});

describe('rekey decommission', () => {
  test('takes the say of an agent, rotates what it held, and does nothing more once that is done', async () => {
    const one = await deployment(4, (n) => (n < 3 ? { holders: [AGENT] } : {}));
    const order = ['decommission', 'order-agent', '--incident', 'OPS-1', '--reason', 'replaced', '--yes'];
    const first = await one.run(...order);
    expect([first.exit, acts(first)]).toEqual([0, { started: 3 }]);
    expect((await one.deps.agents.pact('order-agent'))?.decommissioned).toMatchObject({
      reason: 'replaced',
      incidentId: 'OPS-1',
    });
    expect(acts(await one.run(...order))).toEqual({ joined: 3 });
    await complete(one);
    expect(await one.run(...order)).toMatchObject({ exit: 0, answer: { steps: [] } });
    expect((await one.run('pacts', 'show', 'order-agent')).answer).toMatchObject({
      pact: { decommissioned: { reason: 'replaced' } },
    });
    await one.close();
  });
});

// What the versions before have stored, sent and published, against the code of today (hard decision 6). `npm run
// record` makes the recordings.
import { randomUUID } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answer } from '../../lambdas/control-api/routes.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { documentOf, text, type Item } from '../../shared/adapters/ledger-items.ts';
import { credentialView, planView, rotationView } from '../../shared/api/views.ts';
import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { eventOf } from '../../shared/domain/events.ts';
import type { Rotation } from '../../shared/domain/rotation.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { FUNCTIONS, TABLE } from '../../shared/names.ts';
import { REKEY_VERSION } from '../../shared/version.ts';
import { gatewayEvent, servicesOf } from '../compat/api.ts';
import { onTheBus } from '../compat/bus.ts';
import { putItems } from '../compat/items.ts';
import { MOMENTS, readRecorded, VERSIONS, type Moment, type Recorded } from '../compat/recorded.ts';
import { TABLE_NAME } from '../support/engine-case.ts';
import { createTable, EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { MemoryAgentStore, MemorySealer } from '../support/agent-parts.ts';
import { workflowOf } from '../support/functions.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const isHead = (item: Item): boolean => text(item, TABLE.sk) === 'HEAD';

/** The ledger of a moment, in a table of its own, with nothing behind it but executions that only begin. */
async function engineAt({ ledger }: Recorded, moment: Moment): Promise<EngineDeps> {
  const table = `ledger-${randomUUID()}`;
  await createTable(world.aws, table);
  const items = ledger.tables[moment];
  await putItems(world.aws, table, items);
  const head = documentOf<Credential>(items.find(isHead) ?? {});
  // Rotations of then are under way now: the clock stands where they were recorded.
  const clock = (): number => Date.parse(head.updatedAt) + 1000;
  const never = (): never => {
    throw new Error('the API has no part in this');
  };
  return {
    ledger: new DynamoDbLedger({ aws: world.aws, table, tenant: head.tenant, clock }),
    readers: new DynamoDbReaderLog({ aws: world.aws, table, tenant: head.tenant, clock }),
    agents: new MemoryAgentStore(),
    sealer: new MemorySealer(),
    vault: new Proxy({}, { get: never }) as EngineDeps['vault'],
    workflow: {
      startLifecycle: async () => undefined,
      answer: async () => undefined,
      startEmergency: async (_id, input) => input,
      startSuspension: async () => undefined,
      // It has one part.
      emergency: async (id) =>
        id.endsWith('-2') ? undefined : { status: 'RUNNING', startedAt: head.updatedAt },
    },
    providerFor: never,
    readAdmin: never,
    clock,
    newId: randomUUID,
    reach: { privateHosts: [] },
    timing: { stuckAfterSeconds: 900 },
  };
}

test('this version is recorded as well, so that the next one can be held against it', () => {
  expect(VERSIONS).toContain(REKEY_VERSION);
});

describe.each(VERSIONS)('what version %s', (version) => {
  const recorded = readRecorded(version);
  const { ledger, machines, api, events } = recorded;
  const states = Object.entries(ledger.states);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const conforms = (name: string): ReturnType<typeof ajv.compile> => ajv.compile(api.schemas[name] ?? false);

  test.each(MOMENTS)(
    'has stored is read: credential, rotations, calendar, reservations, chain (%s)',
    async (moment) => {
      const items = ledger.tables[moment];
      const { ledger: today } = await engineAt(recorded, moment);
      const head = documentOf<Credential>(items.find(isHead) ?? {});
      expect(await today.credential(head.id)).toEqual(head);
      expect(await today.idByName(head.name)).toBe(head.id);
      expect(await today.idBySecret(head.secretArn ?? '')).toBe(head.id);
      expect(await today.idByTarget(head.targetIdentity ?? '')).toBe(head.id);
      expect((await today.list()).items).toEqual([head]);
      const rotations = items
        .filter((item) => text(item, TABLE.sk)?.startsWith('ROT#'))
        .map((item) => documentOf<Rotation>(item));
      expect(await today.rotations(head.id, 10)).toEqual(expect.arrayContaining(rotations));
      const unfinished = await today.unfinished('9999');
      expect(unfinished.map(({ rotationId }) => rotationId)).toEqual(
        head.activeRotation === undefined ? [] : [head.activeRotation],
      );
      expect(await today.lookAt(head.id)).toBe(
        text(items.find((item) => text(item, TABLE.sk) === 'DUE') ?? {}, TABLE.indexSk),
      );
      const records: AuditRecord[] = [];
      for await (const record of today.records(head.id)) records.push(record);
      expect(checkChain(records, head)).toEqual([]);
      expect(records.length).toBeGreaterThan(5);
    },
  );

  test.each(states.filter(([name]) => name.startsWith('head')))(
    'has stored as %s is shown and planned',
    (_name, item) => {
      const head = documentOf<Credential>(item);
      const view = JSON.parse(JSON.stringify(credentialView(head, undefined, Date.now()))) as object;
      const lists = conforms('listAnswer');
      expect([lists({ credentials: [view] }), lists.errors]).toEqual([true, null]);
      const plans = conforms('planAnswer');
      expect([plans({ plan: [planView(head, Date.now())] }), plans.errors]).toEqual([true, null]);
    },
  );

  test.each(states.filter(([name]) => name.startsWith('rotation')))(
    'has stored as %s is shown',
    (_name, item) => {
      const shows = conforms('rotationAnswer');
      expect([shows({ rotation: rotationView(documentOf<Rotation>(item)) }), shows.errors]).toEqual([
        true,
        null,
      ]);
    },
  );

  test.each(MOMENTS)('asked of the API is answered as it needs it, each in turn (%s)', async (moment) => {
    const engine = await engineAt(recorded, moment);
    const [credential] = (await engine.ledger.list()).items;
    const services = servicesOf(engine, async () => ({
      outcome: 'unchanged',
      changes: [],
      ...(credential === undefined ? {} : { credential }),
    }));
    for (const { command, request, status, schema } of api.exchanges[moment]) {
      const { response, unexpected } = await answer(gatewayEvent(request), services);
      const valid = conforms(schema);
      const body: unknown = JSON.parse(response.body ?? 'null');
      void valid(body);
      expect({ command, status: response.statusCode, errors: valid.errors, unexpected, body }).toEqual({
        command,
        status,
        errors: null,
        unexpected: undefined,
        body,
      });
    }
  });

  test('calls in its machines is still there', () => {
    const called = JSON.stringify(machines).matchAll(/"FunctionName":"\$\{(\w+)\}"/g);
    const names = [...called].map(([, name = '']) =>
      name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    );
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !FUNCTIONS.some((known) => known === name))).toEqual([]);
  });

  /** A credential whose executions go by the machines of then; all that they call is of today. */
  async function underWay(): Promise<{ one: EngineCase; token: string }> {
    const one = world.newCase();
    one.change = (deps) => ({ ...deps, workflow: workflowOf(one.machines, machines) });
    await one.register();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    await one.still();
    return { one, token };
  }

  test('has begun is finished: a rotation whose items have nothing that it did not write', async () => {
    const { one, token } = await underWay();
    const known = (prefix: string): Set<string> =>
      new Set(
        states
          .filter(([name]) => name.startsWith(prefix))
          .flatMap(([, item]) => Object.keys(documentOf<object>(item))),
      );
    await rewrite(one, token, (document, kind) =>
      Object.fromEntries(Object.entries(document).filter(([field]) => known(kind).has(field))),
    );
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
    expect(repaired(one)).toEqual([]);
  });

  test('has begun is rolled back', async () => {
    const { one, token } = await underWay();
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
    expect(repaired(one)).toEqual([]);
  });

  test('has begun as an emergency is replaced, also by the machine of today', async () => {
    for (const definitions of [machines, undefined]) {
      const one = world.newCase();
      one.change = (deps) => ({ ...deps, workflow: workflowOf(one.machines, definitions) });
      await one.register();
      const id = randomUUID();
      await one.process(async (deps) =>
        deps.workflow.startEmergency(id, {
          ...machines.emergencyInput,
          credentials: [{ credentialId: await one.id() }],
        }),
      );
      await one.settle();
      expect(one.machines.executions.get(id)?.status).toBe('SUCCEEDED');
      expect((await one.credential()).incident?.stage).toBe('resumed');
      expect(await one.faults()).toEqual([]);
    }
  });

  test('has published is published of the same records, as its schema says', async () => {
    const valid = ajv.compile(events.schema);
    expect(events.events.length).toBeGreaterThan(8);
    for (const { record, event } of events.events) {
      expect([event['detail-type'], valid(event), valid.errors]).toEqual([event['detail-type'], true, null]);
      if (record === undefined) continue;
      const news = eventOf(record);
      const today = await onTheBus(record.metadata.tenant_uid, news?.detailType ?? '', news?.detail ?? {});
      expect(today).toMatchObject(event);
      // Before records named fleets, each holder was one of its own.
      const { holders, fleets = holders } = record.entity.data;
      expect(today.detail).toMatchObject({ holders, fleets });
      expect([event['detail-type'], valid(today), valid.errors]).toEqual([event['detail-type'], true, null]);
    }
  });

  test('expects of events is so for all that a rotation, a rollback and an emergency publish today', async () => {
    const { one, token } = await underWay();
    await one.requestRollback(token);
    await one.settle();
    await one.rotate();
    one.agents.stop();
    await one.startEmergency();
    await one.settle();
    const valid = ajv.compile(events.schema);
    const news = [...(await one.records()).flatMap((record) => eventOf(record) ?? []), ...one.published];
    expect(news.length).toBeGreaterThan(8);
    for (const { detailType, detail } of news) {
      const event = await onTheBus(one.tenant, detailType, detail);
      expect([detailType, valid(event), valid.errors]).toEqual([detailType, true, null]);
    }
  });
});

describe('a version after this one, which runs beside it for a moment', () => {
  test('finds again what it has added to a credential and a rotation that this version has changed meanwhile', async () => {
    const one = world.newCase();
    await one.register();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', token);
    await one.still();
    const added = { ofNextVersion: { since: '2027-01-01T00:00:00.000Z' } };
    await rewrite(one, token, (document) => ({ ...document, ...added }));
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'completed', ...added });
    expect(await one.credential()).toMatchObject(added);
    // A rotation that this version begins has only what it knows; the credential keeps what it has.
    const next = await one.rotate();
    expect(await one.rotation(next)).not.toHaveProperty('ofNextVersion');
    one.agents.stop();
    await one.startEmergency();
    await one.settle();
    expect(await one.credential()).toMatchObject(added);
    expect(await one.faults()).toEqual([]);
  });

  test.each([
    ['holder of a kind', { holders: [{ kind: 'client', name: 'sdk' }] }, {}],
    ['phase', {}, { phase: 'reviewing' }],
  ])(
    'knows a %s that this version does not: nothing is retired, and it pages',
    async (_what, head, rotation) => {
      const one = world.newCase({ window: '15m', deadline: '30m', cap: '1h' });
      await one.register();
      one.agents.start();
      const token = await one.requestRotation();
      await one.until(({ phase }) => phase === 'window', token);
      await one.still();
      const old = await one.login({ stage: 'AWSPREVIOUS' });
      await rewrite(one, token, (document, kind) => ({
        ...document,
        ...(kind === 'head' ? head : rotation),
      }));
      await one.settle();
      expect(await one.works(old)).toBe(true);
      expect(await one.works(await one.login())).toBe(true);
      expect(one.agents.failures).toEqual([]);
      expect(one.machines.failed.length).toBeGreaterThan(0);
      const view = rotationView(await one.rotation(token));
      expect(view.over).toBe(false);
    },
  );

  test('adds attributes beside the document in vain: what this version writes is the whole item', async () => {
    const one = world.newCase();
    await one.register();
    const stored = await storedAs(one, 'HEAD');
    await putItems(world.aws, TABLE_NAME, [{ ...stored, ofNextVersion: { S: 'kept in no document' } }]);
    await one.rotate();
    expect(await storedAs(one, 'HEAD')).not.toHaveProperty('ofNextVersion');
  });
});

/** The ways of executions that did not end well, or did so only because the reconciler mended something. */
function repaired(one: EngineCase): string[] {
  return [...one.machines.executions.values()]
    .filter(({ status, trail }) => status !== 'SUCCEEDED' || trail.includes('Reconcile'))
    .map(({ trail }) => trail.join(' '));
}

/** An item of a credential. */
async function storedAs(one: EngineCase, sk: string): Promise<Item> {
  const { Item: found = {} } = await world.aws.json<{ Item?: Item }>('dynamodb', 'GetItem', {
    TableName: TABLE_NAME,
    Key: { [TABLE.pk]: { S: `${one.tenant}#C#${await one.id()}` }, [TABLE.sk]: { S: sk } },
    ConsistentRead: true,
  });
  return found;
}

/** Changes the documents of a credential's head and of a rotation where they are stored. */
async function rewrite(
  one: EngineCase,
  token: string,
  change: (document: object, kind: 'head' | 'rotation') => object,
): Promise<void> {
  for (const [kind, sk] of [
    ['head', 'HEAD'],
    ['rotation', `ROT#${token}`],
  ] as const) {
    const stored = await storedAs(one, sk);
    const doc = JSON.stringify(change(documentOf<object>(stored), kind));
    await putItems(world.aws, TABLE_NAME, [{ ...stored, doc: { S: doc } }]);
  }
}

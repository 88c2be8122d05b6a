import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { TABLE } from '../../shared/names.ts';
import type { Fault } from './faulty.ts';
import { FakeWorkloads } from '../fakes/workloads.ts';
import { TestServer } from './postgres.ts';
import { ADMIN_SECRET, EngineCase, TABLE_NAME } from './engine-case.ts';

// What tests of the engine need comes from here.
export { inParallel } from './in-parallel.ts';
export type { Login } from './agents.ts';
export type { EngineCase };

/** The engine's surroundings, all real: Secrets Manager and DynamoDB of the local stack, PostgreSQL. */
export class EngineWorld {
  readonly stack: LocalStack;
  readonly server: TestServer;
  readonly aws: AwsCalls;
  readonly database: string;
  readonly #workloads: FakeWorkloads[] = [];
  #cases = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(stack: LocalStack, server: TestServer, aws: AwsCalls, database: string) {
    this.stack = stack;
    this.server = server;
    this.aws = aws;
    this.database = database;
  }

  static async start(): Promise<EngineWorld> {
    const server = new TestServer();
    const [stack] = await Promise.all([
      startLocalStack({ retry: { attempts: 5, firstDelayMs: 5, maxDelayMs: 20 } }),
      // The engine's logins are checked and encrypted as ever. The tests' own, by the thousand, are as cheap as can be.
      server.start({ allowPlaintext: true, parameters: { scram_iterations: '1' } }, false),
    ]);
    const aws = new AwsCalls({
      region: stack.region,
      endpoint: stack.endpoint,
      credentials: stack.clientConfig.credentials,
      caller: 'engine-test',
    });
    await createTable(aws);
    const { user: username, password } = server.admin;
    await aws.json('secretsmanager', 'CreateSecret', {
      Name: ADMIN_SECRET,
      SecretString: JSON.stringify({ username, password }),
    });
    const { database } = await server.freshTarget();
    return new EngineWorld(stack, server, aws, database);
  }

  /** Runs one piece of work at a time: for what cases share. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async stop(): Promise<void> {
    const workloads = this.#workloads.map((each) => each.stop());
    await Promise.all([this.stack.stop(), this.server.stop(), ...workloads]);
  }

  /** A credential, tenant, clock and set of processes of its own; nothing is registered yet. */
  newCase(policy: object = {}, holders: readonly object[] = []): EngineCase {
    return new EngineCase(this, { number: ++this.#cases, policy, holders });
  }

  /** Another credential of the same tenant, on the same clock. */
  caseBeside(one: EngineCase): EngineCase {
    return new EngineCase(this, { number: ++this.#cases, policy: {}, holders: [], beside: one });
  }

  /** ECS and Lambda of a case, on its clock; started on first use, since most cases have none. */
  async workloads(clock: () => number): Promise<{ fake: FakeWorkloads; aws: AwsCalls }> {
    const fake = new FakeWorkloads(clock);
    this.#workloads.push(fake);
    const aws = new AwsCalls({
      region: this.stack.region,
      endpoint: await fake.start(),
      credentials: this.stack.clientConfig.credentials,
      caller: 'engine-test',
    });
    return { fake, aws };
  }

  /** Registered; a fault is armed from there on. */
  async registered(fault?: Fault, policy: object = {}): Promise<EngineCase> {
    const fresh = this.newCase(policy);
    await fresh.register();
    if (fault !== undefined) fresh.calls.arm(fault);
    return fresh;
  }
}

/** The one ledger table as infra makes it, as far as the engine sees it. */
export async function createTable(aws: AwsCalls, name = TABLE_NAME): Promise<void> {
  const key = (hash: string, range: string) => [
    { AttributeName: hash, KeyType: 'HASH' },
    { AttributeName: range, KeyType: 'RANGE' },
  ];
  await aws.json('dynamodb', 'CreateTable', {
    TableName: name,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [TABLE.pk, TABLE.sk, TABLE.indexPk, TABLE.indexSk].map((AttributeName) => ({
      AttributeName,
      AttributeType: 'S',
    })),
    KeySchema: key(TABLE.pk, TABLE.sk),
    GlobalSecondaryIndexes: [
      {
        IndexName: TABLE.index,
        KeySchema: key(TABLE.indexPk, TABLE.indexSk),
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  });
}

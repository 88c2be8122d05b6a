import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { emergency as emergencyMachine } from '../../infra/machines/emergency.ts';
import { lifecycle as lifecycleMachine } from '../../infra/machines/lifecycle.ts';
import type { RotationJob } from '../../local/gateway/rotation/driver.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { isOver, type Rotation, type Trigger } from '../../shared/domain/rotation.ts';
import { revokeNow, type Revocation } from '../../shared/engine/emergency.ts';
import * as incident from '../../shared/engine/incident.ts';
import { reconcile, reconcileAll } from '../../shared/engine/reconcile.ts';
import { register, type RegisterAnswer } from '../../shared/engine/register.ts';
import * as replace from '../../shared/engine/replace.ts';
import { enterLifecycle, requestRotation, startRotation } from '../../shared/engine/requests.ts';
import { retire } from '../../shared/engine/retire.ts';
import { requestRollback, rollback } from '../../shared/engine/rollback.ts';
import { rotationStep } from '../../shared/engine/rotation-step.ts';
import { awaitWindow, verifyWindow } from '../../shared/engine/window.ts';
import { TABLE } from '../../shared/names.ts';
import type { Snapshots, SpooledIntent } from '../../shared/ports/snapshots.ts';
import type { EmergencyInput, LifecycleOutcome, Workflow } from '../../shared/ports/workflow.ts';
import { providerFor } from '../../shared/providers/registry.ts';
import { parseTarget, type PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import { Calls, faulty, Process, type Fault, type ProcessDeps } from './faulty.ts';
import { Machines, type Execution } from './machines.ts';
import { TestServer } from './postgres.ts';
import { VirtualTime } from './virtual-time.ts';

/** As deployed on AWS (infra/config.ts). */
const TIMING = { rotateTimeoutSeconds: 3600, reconcileEverySeconds: 300, stuckAfterSeconds: 900 };
const TABLE_NAME = 'ledger';
const ADMIN_SECRET = 'database/admin';
/** An agent may use a value for so long after it has read it. */
const TTL_SECONDS = 120;

const OPERATOR: Trigger = { kind: 'operator', actor: 'arn:aws:iam::111122223333:user/operator' };

/** The engine's surroundings, all real: Secrets Manager and DynamoDB of the local stack, PostgreSQL. */
export class EngineWorld {
  readonly stack: LocalStack;
  readonly server: TestServer;
  readonly aws: AwsCalls;
  readonly database: string;
  #cases = 0;

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
      server.start({ parameters: {} }),
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

  async stop(): Promise<void> {
    await Promise.all([this.stack.stop(), this.server.stop()]);
  }

  /** A credential, tenant, clock and set of processes of its own; nothing is registered yet. */
  newCase(policy: object = {}): EngineCase {
    return new EngineCase(this, ++this.#cases, policy);
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

/** One credential's life, in processes that may die. */
export class EngineCase {
  readonly world: EngineWorld;
  readonly name: string;
  readonly tenant: string;
  readonly secret: string;
  readonly target: PostgresTarget;
  readonly declaration: CredentialEntry;
  readonly time = new VirtualTime();
  readonly calls = new Calls();
  readonly machines: Machines;
  readonly agents: Agents;
  /** Events on Rekey's bus, of the emergency's functions. */
  /** Intents that the ledger did not take in time. */
  readonly spooled: SpooledIntent[] = [];
  readonly published: { detailType: string; detail: object }[] = [];
  /** The engine's parts without faults. */
  readonly deps: ProcessDeps & { readonly snapshots: Snapshots };
  readonly functionArn: string;
  /** What each process gets on top of `deps`: tests put slow or broken parts here. */
  change: <D extends ProcessDeps>(deps: D) => D = (deps) => deps;
  /** Secrets Manager doesn't repeat a step that has failed: only the reconciler is left. */
  vaultGivesUp = false;
  #id: string | undefined;

  constructor(world: EngineWorld, number: number, policy: object) {
    this.world = world;
    this.name = `case-${number}`;
    this.tenant = `tenant-${number}`;
    this.secret = `agents/case-${number}`;
    const { host, port, caPem } = world.server.server;
    const target = {
      host,
      port,
      database: world.database,
      ownerRole: `case_${number}`,
      tls: { mode: 'verify-full', ca: caPem },
    };
    this.target = parseTarget(target);
    this.declaration = parseEntry({
      name: this.name,
      type: 'database',
      provider: 'postgresql',
      secret: this.secret,
      admin: ADMIN_SECRET,
      target,
      holders: [{ kind: 'polling', name: 'fleet', ttl: `${TTL_SECONDS}s` }],
      policy,
    });
    this.functionArn = `arn:aws:lambda:${localRegion}:${localAccountId}:function:rotate-${number}:live`;
    this.machines = new Machines(this.time, (name, payload) =>
      this.process((deps) => call(deps, name, payload)),
    );
    const vault = new SecretsManagerVault(world.aws);
    const ledger = new DynamoDbLedger({
      aws: world.aws,
      table: TABLE_NAME,
      tenant: this.tenant,
      clock: this.time.now,
    });
    this.deps = {
      ledger,
      vault,
      workflow: workflowOf(this.machines),
      events: {
        publish: async (detailType, detail) => void this.published.push({ detailType, detail }),
      },
      // The archiver's copy is up to date within seconds; here it is at once.
      snapshots: {
        read: (id) => ledger.credential(id),
        spool: async (intent) => void this.spooled.push(intent),
      },
      providerFor,
      readAdmin: async (adminSecret) => {
        const text = await vault.read(adminSecret, { stage: 'AWSCURRENT' });
        if (text === undefined) throw new RekeyError('ERR_NOT_FOUND', 'no admin secret');
        return text;
      },
      clock: this.time.now,
      newId: randomUUID,
      timing: { stuckAfterSeconds: TIMING.stuckAfterSeconds },
    };
    this.agents = new Agents(this);
    world.stack.gateway.functions.set(this.functionArn, async (event) => {
      if (this.vaultGivesUp && this.jobs().some((job) => job.state === 'running' && job.steps.some(failed))) {
        throw new Error('the vault has given up this drive');
      }
      return this.time.work(() => this.process((deps) => rotationStep(deps, event)));
    });
  }

  /** Runs `work` as one invocation of a function: it ends at once where the process is killed. */
  async process<T>(work: (deps: ProcessDeps & { readonly snapshots: Snapshots }) => Promise<T>): Promise<T> {
    const process = new Process();
    return Promise.race([process.death, work(faulty(this.change(this.deps), this.calls, process))]);
  }

  // --- what people and services do

  /** One attempt to register. */
  tryRegister(declaration: CredentialEntry = this.declaration, dryRun = false): Promise<RegisterAnswer> {
    const options = {
      home: { tenant: this.tenant, account: localAccountId, region: localRegion },
      stage: 'local',
      limits: {},
      rotationFunction: () => this.functionArn,
    };
    return this.process((deps) => register(deps, options, { declaration, actor: OPERATOR.actor, dryRun }));
  }

  /** Registers, repeating the request as an operator would where it fails for the moment. */
  async register(): Promise<void> {
    await this.repeating(() => this.tryRegister());
    await this.settle();
  }

  /** Asks for a rotation, repeating the request with its idempotency token. */
  async requestRotation(token: string = randomUUID()): Promise<string> {
    await this.repeating(() =>
      this.process((deps) => requestRotation(deps, { name: this.name, token, trigger: OPERATOR })),
    );
    return token;
  }

  /** A whole rotation, to its end. */
  async rotate(): Promise<string> {
    const token = await this.requestRotation();
    await this.settle();
    return token;
  }

  async requestRollback(rotationId: string): Promise<void> {
    const credentialId = await this.id();
    await this.repeating(() =>
      this.process((deps) => requestRollback(deps, { credentialId, rotationId, trigger: OPERATOR })),
    );
  }

  /** Starts the emergency machine. */
  async startEmergency(
    incidentId = `incident-${randomUUID()}`,
    { replace: withReplacement = true, id = '' } = {},
  ): Promise<Execution> {
    const credentialId = await this.id();
    const execution = id === '' ? randomUUID() : id;
    await this.repeating(() =>
      this.process((deps) =>
        deps.workflow.startEmergency(execution, {
          incidentId,
          reason: 'leaked',
          actor: OPERATOR.actor,
          startedAt: new Date(this.time.now()).toISOString(),
          replace: withReplacement,
          credentials: [{ credentialId }],
        }),
      ),
    );
    const started = this.machines.executions.get(execution);
    if (started === undefined) throw new Error('the emergency was not started');
    return started;
  }

  /** Calls a step as Secrets Manager would, outside of its own sequence. */
  step(step: string, token: string): Promise<void> {
    return this.process((deps) =>
      rotationStep(deps, { Step: step, SecretId: this.secret, ClientRequestToken: token }),
    );
  }

  async repeating<T>(request: () => Promise<T>, attempts = 6): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.time.work(request);
      } catch (error) {
        const passing =
          (isRekeyError(error) && error.retryable) ||
          (error instanceof Error && error.name === 'Sandbox.Timedout');
        if (!passing || attempt === attempts) throw error;
      }
    }
  }

  // --- time

  /** Lets everything work until all wait for time, and the vault drives nothing. */
  async still(limitMs = 60_000): Promise<void> {
    const deadline = Date.now() + limitMs;
    for (let quiet = 0; quiet < 2;) {
      if (Date.now() > deadline) throw new Error(`${this.name} doesn't come to rest`);
      quiet = this.time.still && !this.jobs().some((job) => job.state === 'running') ? quiet + 1 : 0;
      await sleep(1);
    }
  }

  /** Jumps to the next instant at which something happens by time; false where nothing would. */
  async advance(): Promise<boolean> {
    await this.still();
    const tick = await this.nextReconciliation();
    const instants = [this.time.next, tick].filter((instant) => instant !== undefined);
    if (instants.length === 0) return false;
    const instant = Math.min(...instants);
    await this.agents.probe('before the clock jumps');
    this.time.jumpTo(instant);
    if (instant === tick) await this.reconcileBySchedule();
    await this.still();
    return true;
  }

  /** Waits for the end of one execution while other work may stand still; its own waits are jumped over. */
  async finished(execution: Execution): Promise<void> {
    for (let polls = 1; execution.status === 'RUNNING'; polls++) {
      if (polls > 20_000) throw new Error(`${execution.name} doesn't end (${execution.trail.join(' ')})`);
      await sleep(2);
      if (polls % 200 === 0 && this.time.next !== undefined) this.time.jumpTo(this.time.next);
    }
  }

  /** Lets time pass until nothing happens any more by itself. */
  async settle(): Promise<void> {
    for (let jumps = 0; await this.advance(); jumps++) {
      if (jumps > 300) throw new Error(`${this.name} never comes to an end`);
    }
  }

  /** Lets time pass until `reached` of the newest rotation. */
  async until(reached: (rotation: Rotation) => boolean, token: string): Promise<void> {
    for (let jumps = 0; ; jumps++) {
      await this.still();
      const rotation = await this.deps.ledger.rotation(await this.id(), token);
      if (rotation !== undefined && reached(rotation)) return;
      if (jumps > 300 || !(await this.advance())) throw new Error(`never reached (${rotation?.phase})`);
    }
  }

  /** The scheduled function; what it throws is in its log, and it comes again. */
  async reconcileBySchedule(): Promise<void> {
    await this.time.work(() => this.process((deps) => reconcileAll(deps))).catch(() => undefined);
  }

  /** The schedule's next tick that finds something due. */
  private async nextReconciliation(): Promise<number | undefined> {
    const state = await this.activeRotation();
    if (state === undefined || state.stuck === true) return undefined;
    const every = TIMING.reconcileEverySeconds * 1000;
    const due = Math.max(this.time.now(), Date.parse(state.checkAt));
    return (Math.floor(due / every) + 1) * every;
  }

  /** Waits until the vault has driven this token to an end; returns at once where it never begins. */
  async driven(token: string): Promise<void> {
    const running = (): boolean =>
      this.jobs().every((job) => job.token !== token) ||
      this.jobs().some((job) => job.token === token && job.state === 'running');
    for (let polls = 0; polls < 300 && running(); polls++) await sleep(10);
  }

  /** The vault's drives of this secret, oldest first. */
  jobs(): readonly RotationJob[] {
    return this.world.stack.gateway.secrets.jobs.filter((job) => job.arn.includes(`:secret:${this.secret}-`));
  }

  // --- what is there

  async id(): Promise<string> {
    this.#id ??= await this.deps.ledger.idByName(this.name);
    if (this.#id === undefined) throw new Error(`${this.name} is not registered`);
    return this.#id;
  }

  async credential(): Promise<Credential> {
    const found = await this.deps.ledger.credential(await this.id());
    if (found === undefined) throw new Error(`${this.name} is not in the ledger`);
    return found;
  }

  async rotation(token: string): Promise<Rotation> {
    const found = await this.deps.ledger.rotation(await this.id(), token);
    if (found === undefined) throw new Error(`no rotation ${token}`);
    return found;
  }

  async activeRotation(): Promise<Rotation | undefined> {
    const id = await this.deps.ledger.idByName(this.name);
    if (id === undefined) return undefined;
    const active = (await this.deps.ledger.credential(id))?.activeRotation;
    return active === undefined ? undefined : this.deps.ledger.rotation(id, active);
  }

  async records(): Promise<AuditRecord[]> {
    const records: AuditRecord[] = [];
    for await (const record of this.deps.ledger.records(await this.id())) records.push(record);
    return records;
  }

  async actions(): Promise<string[]> {
    return (await this.records()).map((record) => record.message);
  }

  /** Stages by version. */
  async labels(): Promise<Readonly<Record<string, readonly string[]>>> {
    return (await this.deps.vault.describe(this.secret))?.versions ?? {};
  }

  /** Moves AWSPENDING to a version, as a repeated RotateSecret does; false where there is no such version. */
  async labelPending(version: string): Promise<boolean> {
    const pending = Object.entries(await this.labels()).find(([, stages]) => stages.includes('AWSPENDING'));
    const from = pending === undefined ? {} : { RemoveFromVersionId: pending[0] };
    return this.world.aws
      .json('secretsmanager', 'UpdateSecretVersionStage', {
        SecretId: this.secret,
        VersionStage: 'AWSPENDING',
        MoveToVersionId: version,
        ...from,
      })
      .then(
        () => true,
        () => false,
      );
  }

  /** The login in a version of the secret. */
  async login(
    select: { versionId?: string; stage?: 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS' } = {
      stage: 'AWSCURRENT',
    },
  ): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, select);
    if (text === undefined) throw new Error('the secret has no such value');
    const { username, password } = JSON.parse(text.reveal()) as { username: string; password: string };
    return { user: username, password };
  }

  /** Whether the database lets this login in now. */
  async works(login: Login): Promise<boolean> {
    try {
      const client = await this.world.server.connect(login, this.target.database);
      await client.end();
      return true;
    } catch (error) {
      if (String((error as { code?: string }).code).startsWith('28')) return false;
      throw error;
    }
  }

  /** Roles of this credential that may log in, whatever Rekey believes. */
  async openSlots(): Promise<string[]> {
    const rows = await this.world.server.sql(
      `SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE '${this.target.ownerRole}\\_%' ORDER BY 1`,
    );
    return rows.map((row) => String(row['rolname']));
  }

  /**
   * Everything that must hold once all has come to rest: one live credential, which is AWSCURRENT's; no orphan; a
   * whole audit chain; AWSPENDING on nothing but the current version; rotations over, or stuck and paged. Returns what
   * doesn't.
   */
  async faults(): Promise<string[]> {
    const found: string[] = [];
    const credential = await this.credential();
    const [labels, slots, login, records] = await Promise.all([
      this.labels(),
      this.openSlots(),
      this.login(),
      this.records(),
    ]);
    if (slots.length !== 1) found.push(`${slots.length} users may log in: ${slots.join(', ')}`);
    if (slots[0] !== login.user)
      found.push(`AWSCURRENT is ${login.user}, but ${slots.join(', ')} may log in`);
    if (!(await this.works(login))) found.push("AWSCURRENT's value doesn't log in");
    const current = Object.entries(labels).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
    const pending = Object.entries(labels).find(([, stages]) => stages.includes('AWSPENDING'))?.[0];
    if (pending !== undefined && pending !== current) found.push(`AWSPENDING is left on ${pending}`);
    if (credential.current?.versionId !== current) found.push('the ledger has another current version');
    if (credential.status !== 'active') found.push(`the credential is ${credential.status}`);
    const live = credential.live.map((handle) => handle.id);
    if (live.join() !== slots.join()) found.push(`the ledger has ${live.join()} live, not ${slots.join()}`);
    for (const fault of checkChain(records, credential)) found.push(`audit: ${JSON.stringify(fault)}`);
    for (const rotation of await this.deps.ledger.rotations(credential.id, 50)) {
      const paged = records.some(
        (record) => record.message === 'stuck' && record.metadata.correlation_uid === rotation.id,
      );
      if (!isOver(rotation.phase) && !(rotation.stuck === true && paged))
        found.push(`rotation ${rotation.id} is left in ${rotation.phase}`);
    }
    if (credential.activeRotation !== undefined) {
      const active = await this.rotation(credential.activeRotation);
      if (isOver(active.phase)) found.push(`the credential is still reserved by a ${active.phase} rotation`);
    }
    for (const { status, name } of this.machines.executions.values())
      if (status === 'RUNNING') found.push(`execution ${name} still runs`);
    return [...found, ...this.agents.failures];
  }
}

const failed = ({ error }: { error?: string }): boolean => error !== undefined;

export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * A fleet that polls: every agent logs in afresh each time with a value that it has read at most a TTL ago. Whatever
 * was AWSCURRENT within the TTL must therefore work, at every moment.
 */
class Agents {
  readonly failures: string[] = [];
  readonly #case: EngineCase;
  readonly #cached = new Map<string, { login: Login; until: number }>();
  /** How many fresh logins were made. */
  logins = 0;
  #working = false;

  constructor(owner: EngineCase) {
    this.#case = owner;
  }

  /** From here on the agents work: at every side effect and every jump of the clock. */
  start(): void {
    this.#working = true;
    this.#case.calls.between = (label) => this.probe(`before ${label}`);
  }

  /** Agents are to stop: an emergency is under way. */
  stop(): void {
    this.#working = false;
  }

  async probe(when: string): Promise<void> {
    if (!this.#working) return;
    const fresh = await this.#case.login();
    const now = this.#case.time.now();
    this.#cached.set(fresh.password, { login: fresh, until: now + TTL_SECONDS * 1000 });
    for (const [password, { login, until }] of this.#cached) {
      if (until < now) {
        this.#cached.delete(password);
        continue;
      }
      this.logins++;
      if (!(await this.#case.works(login)))
        this.failures.push(`an agent with ${login.user} was refused ${when}`);
    }
  }
}

function workflowOf(machines: Machines): Workflow {
  const patience = { timeout: { toSeconds: () => 60 } };
  const everyFunction = new Proxy({}, { get: () => patience }) as Parameters<typeof emergencyMachine>[0] &
    Parameters<typeof lifecycleMachine>[0];
  const lifecycle = lifecycleMachine(everyFunction, TIMING);
  const emergency = emergencyMachine(everyFunction);
  return {
    async startLifecycle(input, attempt) {
      machines.start(lifecycle, `${input.rotationId}-${attempt}`, input);
    },
    async answer(taskToken: string, output: LifecycleOutcome) {
      machines.answer(taskToken, output);
    },
    async startEmergency(id: string, input: EmergencyInput) {
      machines.start(emergency, id, input);
    },
    async emergency(id) {
      const found = machines.executions.get(id);
      if (found === undefined) return undefined;
      return {
        status: found.status,
        startedAt: new Date(found.startedAt).toISOString(),
        results: found.output,
      };
    },
  };
}

type Payload = {
  credentialId: string;
  rotationId: string;
  taskToken: string;
  action: string;
} & incident.Emergency & {
    step: 'generate' | 'validate' | 'vault';
    cause: string;
    revocation: Revocation;
    results: unknown;
  };

/** The functions as lambdas/ composes them. */
function call(deps: ProcessDeps & { snapshots: Snapshots }, name: string, given: object): Promise<unknown> {
  const payload = given as Payload;
  switch (`${name} ${payload.action ?? payload.step ?? ''}`.trim()) {
    case 'begin-rotation announce':
      return enterLifecycle(deps, payload);
    case 'begin-rotation rotate':
      return startRotation(deps, payload);
    case 'verify-window await':
      return awaitWindow(deps, payload);
    case 'verify-window verify':
      return verifyWindow(deps, payload);
    case 'retire-database':
      return retire(deps, payload);
    case 'rollback-database':
      return rollback(deps, payload);
    case 'reconcile-database':
      return reconcile(deps, payload);
    case 'revoke-database':
      return revokeNow(deps, payload);
    case 'record-emergency record':
      return incident.recordRevocation(deps, payload, payload.revocation);
    case 'record-emergency halt':
      return incident.halt(deps, payload, payload.revocation);
    case 'record-emergency resume':
      return incident.resume(deps, payload);
    case 'record-emergency superseded':
      return incident.superseded(deps, payload);
    case 'record-emergency revocation-failed':
      return incident.recordFailedRevocation(deps, payload, payload.cause);
    case 'record-emergency replacement-failed':
      return incident.recordFailedReplacement(deps, payload, payload);
    case 'record-emergency notify':
      return deps.events.publish('Emergency Ended', {
        incidentId: payload.incidentId,
        results: payload.results,
      });
    case 'replace-database generate':
      return replace.generate(deps, payload);
    case 'replace-database validate':
      return replace.validate(deps, payload);
    case 'replace-database vault':
      return replace.update(deps, payload);
    default:
      throw new Error(`no function ${name} (${payload.action})`);
  }
}

/** Runs `cases` a few at a time and returns what each found, by its name. */
export async function inParallel<T>(
  cases: readonly T[],
  run: (each: T) => Promise<void>,
  atOnce = 3,
): Promise<void> {
  const left = [...cases];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let each = left.shift(); each !== undefined; each = left.shift()) await run(each);
    }),
  );
}

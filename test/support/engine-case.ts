import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RotationJob } from '../../local/gateway/rotation/driver.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { AwsHolderWatch } from '../../shared/adapters/aws-holder-watch.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { isPaused, type Rotation, type Trigger } from '../../shared/domain/rotation.ts';
import { reconcileAll } from '../../shared/engine/reconcile.ts';
import type { RegisterOptions } from '../../shared/engine/register-draft.ts';
import { register, type RegisterAnswer } from '../../shared/engine/register.ts';
import { requestRotation } from '../../shared/engine/requests.ts';
import { requestRollback } from '../../shared/engine/rollback.ts';
import { rotationStep } from '../../shared/engine/rotation-step.ts';
import type { Snapshots, SpooledIntent } from '../../shared/ports/snapshots.ts';
import { providerFor } from '../../shared/providers/registry.ts';
import { parseTarget, type PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import type { FakeWorkloads } from '../fakes/workloads.ts';
import { Calls, faulty, Process, type ProcessDeps } from './faulty.ts';
import { Machines, type Execution } from './machines.ts';
import { VirtualTime } from './virtual-time.ts';
import { Agents, TTL_SECONDS } from './agents.ts';
import { MemoryAgentStore, MemorySealer } from './agent-parts.ts';
import { CaseState } from './case-state.ts';
import type { EngineWorld } from './engine-world.ts';
import { call, TIMING, workflowOf } from './functions.ts';

export const TABLE_NAME = 'ledger';
export const ADMIN_SECRET = 'database/admin';
export const OPERATOR: Trigger = { kind: 'operator', actor: 'arn:aws:iam::111122223333:user/operator' };

/** One credential's life, in processes that may die. */
export class EngineCase extends CaseState {
  readonly world: EngineWorld;
  readonly name: string;
  readonly tenant: string;
  readonly secret: string;
  readonly target: PostgresTarget;
  readonly declaration: CredentialEntry;
  readonly time: VirtualTime;
  readonly calls = new Calls();
  readonly machines: Machines;
  readonly agents: Agents;
  /** What agents of kind client have said; of no other part of the world. */
  readonly agentStore: MemoryAgentStore;
  readonly sealer = new MemorySealer();
  /** Intents that the ledger did not take in time. */
  readonly spooled: SpooledIntent[] = [];
  /** Events on Rekey's bus, of the emergency's functions. */
  readonly published: { detailType: string; detail: object }[] = [];
  /** The engine's parts without faults. */
  readonly deps: ProcessDeps & { readonly snapshots: Snapshots };
  readonly functionArn: string;
  /** What each process gets on top of `deps`: tests put slow or broken parts here. */
  change: <D extends ProcessDeps>(deps: D) => D = (deps) => deps;
  /** Secrets Manager doesn't repeat a step that has failed: only the reconciler is left. */
  vaultGivesUp = false;

  #workloads: Promise<{ fake: FakeWorkloads; aws: AwsCalls }> | undefined;

  constructor(
    world: EngineWorld,
    {
      number,
      policy,
      holders,
      beside,
    }: { number: number; policy: object; holders: readonly object[]; beside?: EngineCase },
  ) {
    super();
    this.time = beside?.time ?? new VirtualTime();
    this.agentStore = new MemoryAgentStore(this.time.now);
    this.world = world;
    this.name = `case-${number}`;
    this.tenant = beside?.tenant ?? `tenant-${number}`;
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
      holders: [{ kind: 'polling', name: 'fleet', ttl: `${TTL_SECONDS}s` }, ...holders],
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
      readers: new DynamoDbReaderLog({
        aws: world.aws,
        table: TABLE_NAME,
        tenant: this.tenant,
        clock: this.time.now,
      }),
      agents: this.agentStore,
      sealer: this.sealer,
      vault,
      workflow: workflowOf(this.machines),
      events: {
        publish: async (detailType, detail) => void this.published.push({ detailType, detail }),
      },
      watch: {
        service: async (...args) => (await this.#watch()).service(...args),
        redeploy: async (...args) => (await this.#watch()).redeploy(...args),
        function: async (...args) => (await this.#watch()).function(...args),
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
      reach: { privateHosts: [] },
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

  /** The services and functions that hold this credential. */
  async workloads(): Promise<FakeWorkloads> {
    this.#workloads ??= this.world.workloads(this.time.now);
    return (await this.#workloads).fake;
  }

  async #watch(): Promise<AwsHolderWatch> {
    this.#workloads ??= this.world.workloads(this.time.now);
    const { aws } = await this.#workloads;
    return new AwsHolderWatch(aws, { stage: 'local', account: localAccountId, region: localRegion });
  }

  /** Runs `work` as one invocation of a function: it ends at once where the process is killed. */
  async process<T>(work: (deps: ProcessDeps & { readonly snapshots: Snapshots }) => Promise<T>): Promise<T> {
    const process = new Process();
    return Promise.race([process.death, work(faulty(this.change(this.deps), this.calls, process))]);
  }

  // --- what people and services do

  /** The settings of the registering function. */
  get options(): RegisterOptions {
    return {
      home: { tenant: this.tenant, account: localAccountId, region: localRegion },
      stage: 'local',
      limits: {},
      rotationFunction: () => this.functionArn,
    };
  }

  /** One attempt to register. */
  tryRegister(declaration: CredentialEntry = this.declaration, dryRun = false): Promise<RegisterAnswer> {
    const { options } = this;
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
    // What a person has paused, or is paged for, is looked at once a day to no effect.
    if (state === undefined || state.stuck === true || isPaused(state, await this.credential()))
      return undefined;
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
}

const failed = ({ error }: { error?: string }): boolean => error !== undefined;

import { Duration, Stack, CfnOutput, type StackProps, Aws } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { OUTPUT, type FunctionName } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import {
  HandlerFunction,
  type HandlerEnvironment,
  type HandlerFunctionProps,
} from '../constructs/handler-function.ts';
import { ReaderObserver } from '../constructs/reader-observer.ts';
import { TableStream } from '../constructs/table-stream.ts';
import { machineArn, Workflow } from '../constructs/workflow.ts';
import { lifecycle } from '../machines/lifecycle.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import type { NetworkStack } from './network.ts';
import type { StateStack } from './state.ts';

export interface RotationStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  /** Endpoints of the VPC, where Rekey makes them. */
  readonly network?: NetworkStack | undefined;
}

type Call = Pick<HandlerFunctionProps, 'description' | 'timeout' | 'grants'> & Partial<HandlerFunctionProps>;

const TYPE = 'database';

/** A head of a version without a calendar is found within so long after an upgrade. */
const REALIGN_EVERY = Duration.hours(6);

/** Ordinary rotation: the functions of the four steps and of the window, and the machine that leads through them. */
export class RotationStack extends Stack {
  readonly functions: readonly HandlerFunction[];
  readonly register: HandlerFunction;
  /** Also looks, for the API, whether what was ended is dead. */
  readonly verify: HandlerFunction;
  readonly holders: HandlerFunction;
  readonly publisher: HandlerFunction;
  readonly planner: HandlerFunction;
  readonly lifecycle: Workflow;
  readonly lifecycleArn: string;
  readonly deadLetters: Queue;
  readonly readers: ReaderObserver;
  readonly #props: RotationStackProps;

  constructor(scope: Construct, id: string, props: RotationStackProps) {
    super(scope, id, props);
    this.#props = props;
    const { settings, state } = props;
    const machineName = `${this.stackName}-lifecycle`;
    this.lifecycleArn = machineArn(this, machineName);
    this.deadLetters = this.#deadLetters();

    const { ledger } = state;
    const secretsKey = state.secretsKey.keyArn;
    const secrets = may.secretsOf(TYPE, settings);
    const admin = may.readAdminSecret(TYPE, settings.adminSecretKeyArns);
    const readSecrets = may.readAgentSecrets(secrets, secretsKey);
    const answers = may.answer(this.lifecycleArn);
    const starts = may.start(this.lifecycleArn);
    const agents = may.askAgents(ledger);
    const seals = may.sealAcknowledgements(ledger);
    const sealingKey = state.key.keyArn;

    const rotate = this.#function('rotate-database', {
      description: 'The four steps of Secrets Manager for databases',
      timeout: Duration.seconds(120),
      database: true,
      reservedConcurrency: settings.reservedConcurrency.rotate,
      environment: { lifecycle: this.lifecycleArn, sealingKey },
      grants: [
        ...may.writeLedger(ledger),
        ...may.holdHeads(ledger),
        ...agents,
        ...seals,
        ...readSecrets,
        ...may.putAgentSecrets(secrets, secretsKey),
        ...may.labelAgentSecrets(secrets),
        ...admin,
        ...starts,
        ...answers,
      ],
    });
    rotate.live.addPermission('SecretsManager', {
      principal: new ServicePrincipal('secretsmanager.amazonaws.com'),
      sourceAccount: Aws.ACCOUNT_ID,
    });
    const rotatorArn = rotate.live.functionArn;

    this.register = this.#function('register-database', {
      description: 'Registers a database credential or brings it in line with its declaration',
      timeout: Duration.seconds(120),
      database: true,
      environment: {
        stage: settings.stage,
        secretPrefix: settings.secretPrefix,
        adoptPrefixes: settings.adoptPrefixes.join(','),
        account: Aws.ACCOUNT_ID,
        secretsKey,
        rotateDatabase: rotatorArn,
        ...this.#minWindow(),
      },
      grants: [
        ...may.writeLedger(ledger),
        ...may.releaseLedger(ledger),
        ...may.createAgentSecrets(secrets, secretsKey),
        ...may.adoptAgentSecrets(secrets),
        ...may.letGoOfAgentSecrets(secrets),
        ...readSecrets,
        ...may.configureRotation(secrets, rotatorArn),
        ...admin,
      ],
    });
    const begin = this.#function('begin-rotation', {
      description: 'Announces a rotation, then asks Secrets Manager for it',
      timeout: Duration.seconds(30),
      environment: { lifecycle: this.lifecycleArn },
      grants: [
        ...may.writeLedger(ledger),
        ...agents,
        ...may.rotateAgentSecrets(secrets, rotatorArn),
        ...starts,
        ...answers,
      ],
    });
    this.verify = this.#function('verify-window', {
      description: 'Decides whether a window may close',
      timeout: Duration.seconds(60),
      database: true,
      environment: {},
      grants: [...may.writeLedger(ledger), ...agents, ...admin, ...answers],
    });
    this.holders = this.#function('check-holders', {
      description: 'Looks at services and functions that hold a credential; redeploys services',
      timeout: Duration.seconds(120),
      environment: { stage: settings.stage, account: Aws.ACCOUNT_ID },
      grants: [...may.writeLedger(ledger), ...may.watchHolders(settings.stage)],
    });
    const retire = this.#function('retire-database', {
      description: 'Suspends, then revokes the credential that a rotation ends',
      timeout: Duration.seconds(120),
      database: true,
      environment: {},
      grants: [...may.writeLedger(ledger), ...agents, ...admin],
    });
    const rollback = this.#function('rollback-database', {
      description: 'Leads agents back to the old credential',
      timeout: Duration.seconds(120),
      database: true,
      environment: { sealingKey },
      grants: [
        ...may.writeLedger(ledger),
        ...seals,
        ...readSecrets,
        ...may.labelAgentSecrets(secrets),
        ...admin,
      ],
    });
    const reconcile = this.#function('reconcile-database', {
      description: 'Finishes or undoes what a rotation has left behind',
      timeout: Duration.seconds(300),
      database: true,
      deadLetters: this.deadLetters,
      environment: { lifecycle: this.lifecycleArn, sealingKey },
      grants: [
        ...may.writeLedger(ledger),
        ...seals,
        ...may.listLedger(ledger),
        ...readSecrets,
        ...may.labelAgentSecrets(secrets),
        ...admin,
        ...starts,
        ...answers,
      ],
    });
    const { reconcileEverySeconds, planEverySeconds } = settings.timing;
    this.#schedule('ReconcileSchedule', reconcile, {
      description: 'Looks at rotations that have stood still',
      every: Duration.seconds(reconcileEverySeconds),
      event: {},
    });
    this.planner = this.#function('plan-rotations', {
      description: 'Starts the rotations that are due',
      timeout: Duration.seconds(300),
      deadLetters: this.deadLetters,
      environment: { lifecycle: this.lifecycleArn },
      grants: [...may.writeLedger(ledger), ...may.holdHeads(ledger), ...may.listLedger(ledger), ...starts],
    });
    this.#schedule('PlanSchedule', this.planner, {
      description: 'Starts what is due in the calendar',
      every: Duration.seconds(planEverySeconds),
      event: {},
    });
    this.#schedule('RealignSchedule', this.planner, {
      description: 'Holds the calendar against every credential',
      every: REALIGN_EVERY,
      event: { action: 'realign' },
    });
    this.publisher = this.#publisher();
    this.readers = new ReaderObserver(this, 'Readers', { settings, state });
    this.functions = [
      rotate,
      this.register,
      begin,
      this.verify,
      this.holders,
      retire,
      rollback,
      reconcile,
      this.planner,
      this.publisher,
      this.readers.handler,
    ];
    this.lifecycle = this.#lifecycle(machineName, {
      begin,
      verify: this.verify,
      holders: this.holders,
      retire,
      rollback,
      reconcile,
    });
    new CfnOutput(this, OUTPUT.lifecycle, { value: this.lifecycle.machine.stateMachineArn });
    new CfnOutput(this, OUTPUT.readers, { value: settings.readers });
  }

  #lifecycle(
    machineName: string,
    called: Record<'begin' | 'verify' | 'holders' | 'retire' | 'rollback' | 'reconcile', HandlerFunction>,
  ): Workflow {
    const { settings, state } = this.#props;
    const functions = {
      'begin-rotation': called.begin,
      'verify-window': called.verify,
      'check-holders': called.holders,
      'retire-database': called.retire,
      'rollback-database': called.rollback,
      'reconcile-database': called.reconcile,
    };
    return new Workflow(this, 'Lifecycle', {
      machineName,
      settings,
      logKey: state.key,
      functions,
      definition: lifecycle(functions, { rotateTimeoutSeconds: settings.timing.rotateTimeoutSeconds }),
    });
  }

  #function(name: FunctionName, call: Call): HandlerFunction {
    const { settings, state, network } = this.#props;
    const environment: HandlerEnvironment = {
      tenant: settings.tenant,
      table: state.table.tableName,
      stuckAfter: String(settings.timing.stuckAfterSeconds),
      ...call.environment,
    };
    return new HandlerFunction(this, idOf(name), {
      name,
      settings,
      logKey: state.key,
      endpoints: network?.endpoints,
      ...call,
      environment,
    });
  }

  #minWindow(): HandlerEnvironment {
    const { minWindowSeconds } = this.#props.settings.timing;
    return minWindowSeconds === undefined ? {} : { minWindow: String(minWindowSeconds) };
  }

  #publisher(): HandlerFunction {
    const { settings, state } = this.#props;
    const streamArn = state.table.tableStreamArn ?? '';
    const publisher = new HandlerFunction(this, 'PublishEvents', {
      name: 'publish-events',
      description: 'Publishes what the ledger has recorded on the event bus',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(60),
      environment: { tenant: settings.tenant, account: Aws.ACCOUNT_ID, bus: state.bus.eventBusName },
      grants: [...may.readStream(streamArn, state.key.keyArn), ...may.publish(state.bus.eventBusArn)],
    });
    new TableStream(this, 'PublishEventsStream', {
      streamArn,
      target: publisher,
      deadLetters: this.deadLetters,
      filters: [{ eventName: ['INSERT'], dynamodb: { Keys: { sk: { S: [{ prefix: 'AUD#' }] } } } }],
    });
    return publisher;
  }

  #schedule(
    id: string,
    target: HandlerFunction,
    { description, every, event }: { description: string; every: Duration; event: object },
  ): void {
    new Rule(this, id, {
      description,
      schedule: Schedule.rate(every),
      targets: [
        new LambdaTarget(target.live, {
          event: RuleTargetInput.fromObject(event),
          deadLetterQueue: this.deadLetters,
          maxEventAge: every,
        }),
      ],
    });
  }

  #deadLetters(): Queue {
    const queue = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(queue, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    return queue;
  }
}

/** `rotate-database` → `RotateDatabase`. */
export function idOf(name: FunctionName): string {
  return name.replace(/(?:^|-)(.)/g, (_match, letter: string) => letter.toUpperCase());
}

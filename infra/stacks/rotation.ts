import { Duration, Stack, CfnOutput, type StackProps, Aws } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { OUTPUT, type CredentialType, type FunctionName } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction, type HandlerEnvironment } from '../constructs/handler-function.ts';
import { TableStream } from '../constructs/table-stream.ts';
import { machineArn, Workflow } from '../constructs/workflow.ts';
import { lifecycle } from '../machines/lifecycle.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import { byType, entriesOf, mapTypes, type ByType } from '../types.ts';
import type { NetworkStack } from './network.ts';
import { rotationFunctions, type Call, type MakeFunction, type RotationFunctions } from './rotation-types.ts';
import type { StateStack } from './state.ts';
import type { VerifiersStack } from './verifiers.ts';

export interface RotationStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  /** What verifiers ask, where types of identities are deployed. */
  readonly verifiers: VerifiersStack | undefined;
  /** Endpoints of the VPC, where Rekey makes them. */
  readonly network?: NetworkStack | undefined;
}

/** A head of a version without a calendar is found within so long after an upgrade. */
const REALIGN_EVERY = Duration.hours(6);

/** Ordinary rotation: the functions of the four steps and of the window, and the machine that leads through them. */
export class RotationStack extends Stack {
  readonly functions: readonly HandlerFunction[];
  /** What each type has of its own. */
  readonly types: ByType<RotationFunctions>;
  readonly holders: HandlerFunction;
  readonly publisher: HandlerFunction;
  readonly planner: HandlerFunction;
  readonly lifecycle: Workflow;
  readonly lifecycleArn: string;
  readonly deadLetters: Queue;
  readonly #props: RotationStackProps;

  constructor(scope: Construct, id: string, props: RotationStackProps) {
    super(scope, id, props);
    this.#props = props;
    const { settings, state, verifiers } = props;
    const machineName = `${this.stackName}-lifecycle`;
    this.lifecycleArn = machineArn(this, machineName);
    this.deadLetters = this.#deadLetters();

    const { ledger } = state;
    const make: MakeFunction = (name, call) => this.#function(name, call);
    const { lifecycleArn, deadLetters } = this;
    this.types = byType(settings.types, (type) =>
      rotationFunctions(type, { settings, state, verifiers, lifecycleArn, deadLetters, make }),
    );
    const ofTypes = entriesOf(this.types);
    const begin = this.#function('begin-rotation', {
      description: 'Announces a rotation, then asks Secrets Manager for it',
      timeout: Duration.seconds(30),
      environment: { lifecycle: lifecycleArn },
      grants: [
        ...may.writeLedger(ledger),
        ...may.askAgents(ledger),
        // One statement for all types: a policy holds so many characters.
        ...may.rotateAgentSecrets(
          may.secretsOf(
            ofTypes.map(([type]) => type),
            settings,
          ),
          ofTypes.map(([, { rotate }]) => rotate.live.functionArn),
        ),
        ...may.start(lifecycleArn),
        ...may.answer(lifecycleArn),
      ],
    });
    this.holders = this.#function('check-holders', {
      description: 'Looks at services and functions that hold a credential; redeploys services',
      timeout: Duration.seconds(120),
      environment: { stage: settings.stage, account: Aws.ACCOUNT_ID },
      grants: [...may.writeLedger(ledger), ...may.watchHolders(settings.stage)],
    });
    const { reconcileEverySeconds, planEverySeconds } = settings.timing;
    for (const [type, { reconcile }] of ofTypes) {
      this.#schedule(reconcileScheduleOf(type), reconcile, {
        description: `Looks at rotations that have stood still: ${type}`,
        every: Duration.seconds(reconcileEverySeconds),
        event: {},
      });
    }
    this.planner = this.#function('plan-rotations', {
      description: 'Starts the rotations that are due',
      timeout: Duration.seconds(300),
      deadLetters: this.deadLetters,
      environment: { lifecycle: this.lifecycleArn },
      grants: [
        ...may.writeLedger(ledger),
        ...may.holdHeads(ledger),
        ...may.listLedger(ledger),
        ...may.start(lifecycleArn),
      ],
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
    this.functions = [
      ...ofTypes.flatMap(([, functions]) => Object.values(functions)),
      begin,
      this.holders,
      this.planner,
      this.publisher,
    ];
    this.lifecycle = this.#lifecycle(machineName, begin);
    new CfnOutput(this, OUTPUT.lifecycle, { value: this.lifecycle.machine.stateMachineArn });
    new CfnOutput(this, OUTPUT.readers, { value: settings.readers });
  }

  #lifecycle(machineName: string, begin: HandlerFunction): Workflow {
    const { settings, state } = this.#props;
    const of = (role: 'verify' | 'retire' | 'rollback' | 'reconcile') =>
      mapTypes(this.types, (functions) => functions[role]);
    const definition = lifecycle(
      {
        'begin-rotation': begin,
        'check-holders': this.holders,
        verify: of('verify'),
        retire: of('retire'),
        rollback: of('rollback'),
        reconcile: of('reconcile'),
      },
      { rotateTimeoutSeconds: settings.timing.rotateTimeoutSeconds },
    );
    const functions = Object.values(this.types).flatMap(({ verify, retire, rollback, reconcile }) => [
      verify,
      retire,
      rollback,
      reconcile,
    ]);
    return new Workflow(this, 'Lifecycle', {
      machineName,
      settings,
      logKey: state.key,
      functions: [begin, this.holders, ...functions],
      definition,
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

/** Id of the schedule of a type's reconciler; that of databases is as old as Rekey. */
function reconcileScheduleOf(type: CredentialType): string {
  return type === 'database' ? 'ReconcileSchedule' : `ReconcileSchedule${idOf(`reconcile-${type}`)}`;
}

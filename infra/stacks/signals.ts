import { Aws, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Match, Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { AT_RISK } from '../../shared/domain/signals/aws-health.ts';
import { SIGNAL_SOURCES, type SignalSource } from '../../shared/domain/signals/signal.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction, type HandlerEnvironment } from '../constructs/handler-function.ts';
import { httpApi } from '../constructs/http-api.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import { policyOf } from '../signal-policy.ts';
import type { FamiliesStack } from './families.ts';
import type { IncidentStack } from './incident.ts';
import type { RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';

export interface SignalsStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
  readonly incident: IncidentStack;
  /** Who ends and refreshes token families, where they are deployed. */
  readonly families: FamiliesStack | undefined;
}

/** Requests a second to the address of one source: whoever can't sign costs no more than that, and hinders no other source. */
const THROTTLE = { rateLimit: 20, burstLimit: 40 };

/** The sources of the settings, in a fixed order. */
function sourcesOf({ signals }: Settings): SignalSource[] {
  return SIGNAL_SOURCES.filter((source) => signals[source] !== undefined);
}

/** AWS tells of keys of IAM that are at risk. */
function hasKeysOfIam({ types }: Settings): boolean {
  return types.includes('cloud-key');
}

/** Rekey's own rules find what is unusual for whatever is read. */
function isNoticed(settings: Settings): boolean {
  return settings.signals.unusual !== 'off' || hasKeysOfIam(settings);
}

/** Whether anything tells this deployment of leaks, of rotations that are due, or of what is unusual. */
export function hasSignals(settings: Settings): boolean {
  return sourcesOf(settings).length > 0 || isNoticed(settings);
}

/** How often what was found unusual is weighed; reads are gathered for as long. */
const WEIGH_EVERY = Duration.minutes(5);

/** What sources call: a route each, open to whoever proves to be it. */
export interface Intake {
  readonly api: HttpApi;
  readonly handler: HandlerFunction;
}

/** What AWS and Rekey's own rules tell. */
export interface Notices {
  readonly handler: HandlerFunction;
  readonly deadLetters: Queue;
}

/**
 * What sources of signals call, and what comes from within AWS. Functions start what there is, and read no secret but those that
 * sources are known by.
 */
export class SignalsStack extends Stack {
  /** Absent where the settings name no source. */
  readonly intake: Intake | undefined;
  /** Absent where there is nothing to be noticed. */
  readonly notices: Notices | undefined;
  readonly #props: SignalsStackProps;

  constructor(scope: Construct, id: string, props: SignalsStackProps) {
    super(scope, id, props);
    this.#props = props;
    this.intake = sourcesOf(props.settings).length === 0 ? undefined : this.#intake();
    this.notices = isNoticed(props.settings) ? this.#notices() : undefined;
  }

  #intake(): Intake {
    const { settings, state } = this.#props;
    const handler = this.#receiver();
    const { api, url } = httpApi(this, {
      settings,
      state,
      description: `Rekey ${settings.stage}: signals`,
      throttle: THROTTLE,
      throttlesEachRoute: true,
      routes: sourcesOf(settings).map((source) => ({
        method: 'POST',
        path: `/signals/${source}`,
        access: 'public',
        why: 'Sources have no AWS identity: each delivery is authenticated by what its source signs with.',
      })),
      handler,
      integration: 'Signals',
    });
    new CfnOutput(this, OUTPUT.signalsUrl, { value: url });
    return { api, handler };
  }

  #receiver(): HandlerFunction {
    const { settings, state, families } = this.#props;
    const { signals, privateUpstreams } = settings;
    const coordinator = families?.coordinator.live.functionArn;
    const sources = Object.fromEntries(sourcesOf(settings).map((source) => [source, signals[source]]));
    const { github, gitguardian, siem, azure } = signals;
    const secrets = [
      github?.secretArn,
      github?.tokenSecretArn,
      gitguardian?.secretArn,
      siem?.secretArn,
      azure?.secretArn,
    ];
    return new HandlerFunction(this, 'ReceiveSignal', {
      name: 'receive-signal',
      description: 'Receives signals of leaks and due rotations from their sources',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(29),
      environment: {
        ...this.#environment(),
        signals: JSON.stringify(sources),
        ...(coordinator === undefined ? {} : { refreshFamilies: coordinator }),
        ...(privateUpstreams.length === 0 ? {} : { privateUpstreams: privateUpstreams.join(',') }),
      },
      grants: [
        ...this.#counting(),
        ...this.#rotating(),
        ...this.#revoking(),
        ...may.findKeys(state.ledger),
        ...may.readSourceSecrets([...new Set(secrets.filter((arn) => arn !== undefined))], signals.keyArns),
        ...(coordinator === undefined ? [] : may.invoke(coordinator)),
      ],
    });
  }

  #notices(): Notices {
    const { settings, state } = this.#props;
    const deadLetters = new Queue(this, 'NoticeDeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    const handler = new HandlerFunction(this, 'ReceiveNotice', {
      name: 'receive-notice',
      description: 'Receives what AWS tells of keys at risk, and weighs what was found unusual',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(120),
      deadLetters,
      environment: this.#environment(),
      grants: [
        ...this.#counting(),
        ...(hasKeysOfIam(settings) || settings.signals.unusual === 'rotate' ? this.#rotating() : []),
        ...(hasKeysOfIam(settings) ? [...this.#revoking(), ...may.findKeys(state.ledger)] : []),
      ],
    });
    if (hasKeysOfIam(settings)) {
      new Rule(this, 'KeysAtRisk', {
        description: 'Tells Rekey of access keys that AWS has found in public or abused',
        eventPattern: {
          source: ['aws.health'],
          detailType: ['AWS Health Event'],
          account: [Aws.ACCOUNT_ID],
          detail: { service: ['RISK'], eventTypeCode: Match.prefix(AT_RISK) },
        },
        targets: [new LambdaTarget(handler.live, { deadLetterQueue: deadLetters })],
      });
    }
    if (settings.signals.unusual !== 'off') {
      new Rule(this, 'WeighSchedule', {
        description: 'Weighs what was found unusual',
        schedule: Schedule.rate(WEIGH_EVERY),
        targets: [
          new LambdaTarget(handler.live, {
            event: RuleTargetInput.fromObject({}),
            deadLetterQueue: deadLetters,
            maxEventAge: WEIGH_EVERY,
          }),
        ],
      });
    }
    return { handler, deadLetters };
  }

  #environment(): HandlerEnvironment {
    const { settings, state, rotation, incident } = this.#props;
    return {
      tenant: settings.tenant,
      table: state.table.tableName,
      stuckAfter: String(settings.timing.stuckAfterSeconds),
      lifecycle: rotation.lifecycleArn,
      emergency: incident.emergency.machine.stateMachineArn,
      suspension: incident.suspension.machine.stateMachineArn,
      signalPolicy: policyOf(settings),
    };
  }

  /** Tells of a signal, within the budget of its source. */
  #counting(): may.Grant[] {
    const { ledger } = this.#props.state;
    return [...may.writeLedger(ledger), ...may.listLedger(ledger), ...may.countSignals(ledger)];
  }

  #rotating(): may.Grant[] {
    const { state, rotation } = this.#props;
    return [...may.holdHeads(state.ledger), ...may.start(rotation.lifecycleArn)];
  }

  #revoking(): may.Grant[] {
    const { incident } = this.#props;
    return [
      ...may.start(incident.emergency.machine.stateMachineArn),
      ...may.start(incident.suspension.machine.stateMachineArn),
      // A start that was lost on its way is told from another one under the same id.
      ...may.watch(incident.emergencyName),
    ];
  }
}

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import type { Construct } from 'constructs';
import { SIGNAL_SOURCES, type SignalSource } from '../../shared/domain/signals/signal.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { httpApi } from '../constructs/http-api.ts';
import * as may from '../permissions.ts';
import { policyOf } from '../signal-policy.ts';
import type { IncidentStack } from './incident.ts';
import type { RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';

export interface SignalsStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
  readonly incident: IncidentStack;
}

/** Requests a second, of everybody together: whoever can't sign costs no more than that. */
const THROTTLE = { rateLimit: 20, burstLimit: 40 };

/** The sources of the settings, in a fixed order. */
export function sourcesOf({ signals }: Settings): SignalSource[] {
  return SIGNAL_SOURCES.filter((source) => signals[source] !== undefined);
}

/**
 * What sources of signals call: a route each, open to whoever proves to be it. The function starts what there is, and reads no
 * secret but those that it checks signatures with.
 */
export class SignalsStack extends Stack {
  readonly api: HttpApi;
  readonly handler: HandlerFunction;

  constructor(scope: Construct, id: string, props: SignalsStackProps) {
    super(scope, id, props);
    const { settings, state } = props;
    this.handler = this.#handler(props);
    const { api, url } = httpApi(this, {
      settings,
      state,
      description: `Rekey ${settings.stage}: signals`,
      throttle: THROTTLE,
      routes: sourcesOf(settings).map((source) => ({
        method: 'POST',
        path: `/signals/${source}`,
        access: 'public',
        why: 'Sources have no AWS identity: each delivery is authenticated by what its source signs with.',
      })),
      handler: this.handler,
      integration: 'Signals',
    });
    this.api = api;
    new CfnOutput(this, OUTPUT.signalsUrl, { value: url });
  }

  #handler({ settings, state, rotation, incident }: SignalsStackProps): HandlerFunction {
    const { signals, privateUpstreams } = settings;
    const { ledger } = state;
    const emergencyArn = incident.emergency.machine.stateMachineArn;
    const suspensionArn = incident.suspension.machine.stateMachineArn;
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
        tenant: settings.tenant,
        table: state.table.tableName,
        stuckAfter: String(settings.timing.stuckAfterSeconds),
        lifecycle: rotation.lifecycleArn,
        emergency: emergencyArn,
        suspension: suspensionArn,
        signals: JSON.stringify(sources),
        signalPolicy: policyOf(settings),
        ...(privateUpstreams.length === 0 ? {} : { privateUpstreams: privateUpstreams.join(',') }),
      },
      grants: [
        ...may.writeLedger(ledger),
        ...may.holdHeads(ledger),
        ...may.listLedger(ledger),
        ...may.findKeys(ledger),
        ...may.countSignals(ledger),
        ...may.readSourceSecrets([...new Set(secrets.filter((arn) => arn !== undefined))], signals.keyArns),
        ...may.start(rotation.lifecycleArn),
        ...may.start(emergencyArn),
        ...may.start(suspensionArn),
        // A start that was lost on its way is told from another one under the same id.
        ...may.watch(incident.emergencyName),
      ],
    });
  }
}

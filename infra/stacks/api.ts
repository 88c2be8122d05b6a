import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import type { Construct } from 'constructs';
import { API_ROUTES } from '../../shared/domain/access.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { httpApi } from '../constructs/http-api.ts';
import { Subscriptions } from '../constructs/subscriptions.ts';
import * as may from '../permissions.ts';
import { policyOf } from '../signal-policy.ts';
import { mapTypes, settingOf } from '../types.ts';
import { SNAPSHOTS } from './evidence.ts';
import type { FamiliesStack } from './families.ts';
import type { IncidentStack } from './incident.ts';
import type { RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';
import type { VerifiersStack } from './verifiers.ts';

export interface ApiStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
  readonly incident: IncidentStack;
  /** Who refreshes token families, where they are deployed. */
  readonly families: FamiliesStack | undefined;
  /** Who revokes certificates, where authorities are deployed. */
  readonly directory: VerifiersStack | undefined;
}

/** What operators and the CLI talk to. Callers are known by IAM; the function holds no right to any secret. */
export class ApiStack extends Stack {
  readonly api: HttpApi;
  readonly handler: HandlerFunction;
  readonly inventory: HandlerFunction;
  readonly subscriptions: Subscriptions;

  constructor(scope: Construct, id: string, props: ApiStackProps) {
    super(scope, id, props);
    const { settings, state } = props;
    this.inventory = this.#inventory(props);
    this.subscriptions = new Subscriptions(this, 'Subscriptions', props);
    this.handler = this.#handler(props);
    const { api, url } = httpApi(this, {
      settings,
      state,
      description: `Rekey ${settings.stage}`,
      throttle: { rateLimit: 50, burstLimit: 100 },
      routes: API_ROUTES,
      handler: this.handler,
      integration: 'Control',
    });
    this.api = api;
    new CfnOutput(this, OUTPUT.apiUrl, { value: url });
  }

  /** Exported here: where a grant is explained to cdk-nag, its ARN must be final. */
  get apiId(): string {
    return this.exportValue(this.api.apiId);
  }

  #inventory({ settings, state }: ApiStackProps): HandlerFunction {
    return new HandlerFunction(this, 'TakeInventory', {
      name: 'take-inventory',
      description: 'Lists secrets that could be adopted, with the form of their values',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(25),
      environment: { adoptPrefixes: settings.adoptPrefixes.join(',') },
      grants: may.takeInventory(settings),
    });
  }

  #handler({ settings, state, rotation, incident, families, directory }: ApiStackProps): HandlerFunction {
    const emergencyArn = incident.emergency.machine.stateMachineArn;
    const suspensionArn = incident.suspension.machine.stateMachineArn;
    const registrars = mapTypes(rotation.types, ({ register }) => register.live.functionArn);
    const verifiers = mapTypes(rotation.types, ({ verify }) => verify.live.functionArn);
    const holdersArn = rotation.holders.live.functionArn;
    const subscriptionsArn = this.subscriptions.handler.live.functionArn;
    const coordinator = families?.coordinator.live.functionArn;
    const revoker = directory?.revoker?.live.functionArn;
    return new HandlerFunction(this, 'ControlApi', {
      name: 'control-api',
      description: 'API of operators: reads the ledger, starts workflows',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(29),
      environment: {
        tenant: settings.tenant,
        table: state.table.tableName,
        stuckAfter: String(settings.timing.stuckAfterSeconds),
        registrars: settingOf(registrars),
        verifiers: settingOf(verifiers),
        checkHolders: holdersArn,
        lifecycle: rotation.lifecycleArn,
        emergency: emergencyArn,
        suspension: suspensionArn,
        takeInventory: this.inventory.live.functionArn,
        manageSubscriptions: subscriptionsArn,
        snapshots: state.snapshots.bucketName,
        signalPolicy: policyOf(settings),
        ...(coordinator === undefined ? {} : { refreshFamilies: coordinator }),
        ...(revoker === undefined ? {} : { revokeCertificates: revoker }),
      },
      grants: [
        ...may.writeLedger(state.ledger),
        ...may.holdHeads(state.ledger),
        ...may.listLedger(state.ledger),
        ...may.readRecords(state.ledger),
        ...may.countSignals(state.ledger),
        ...may.holdPacts(state.ledger),
        ...may.readObjects(state.snapshotsArn, SNAPSHOTS),
        ...[...Object.values(registrars), ...Object.values(verifiers)].flatMap(may.invoke),
        ...may.invoke(holdersArn),
        ...may.invoke(this.inventory.live.functionArn),
        ...may.invoke(subscriptionsArn),
        ...(coordinator === undefined ? [] : may.invoke(coordinator)),
        ...(revoker === undefined ? [] : may.invoke(revoker)),
        ...may.start(rotation.lifecycleArn),
        ...may.answer(rotation.lifecycleArn),
        ...may.start(emergencyArn),
        ...may.start(suspensionArn),
        ...may.watch(incident.emergencyName),
        ...may.describeMachines([rotation.lifecycleArn, emergencyArn]),
      ],
    });
  }
}

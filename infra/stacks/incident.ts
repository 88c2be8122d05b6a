import { Aws, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Construct } from 'constructs';
import { OUTPUT, type CredentialType } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction, type HandlerEnvironment } from '../constructs/handler-function.ts';
import { machineArn, Workflow } from '../constructs/workflow.ts';
import { emergency } from '../machines/emergency.ts';
import { suspension } from '../machines/suspension.ts';
import * as may from '../permissions.ts';
import { INTENTS, SNAPSHOTS } from './evidence.ts';
import { byType, mapTypes } from '../types.ts';
import type { NetworkStack } from './network.ts';
import { NOUN, upstreamGrants, upstreamOf } from './rotation-types.ts';
import { idOf, type RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';
import type { VerifiersStack } from './verifiers.ts';

export interface IncidentStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
  /** What verifiers ask, where types of identities are deployed. */
  readonly verifiers: VerifiersStack | undefined;
  /** Endpoints of the VPC, where Rekey makes them. */
  readonly network?: NetworkStack | undefined;
}

/** What is spooled waits no longer than that once the ledger is back. */
const SPOOL_EVERY = Duration.minutes(15);

/** The emergency: revokes first, then records, halts, replaces. */
export class IncidentStack extends Stack {
  readonly functions: readonly HandlerFunction[];
  readonly emergency: Workflow;
  readonly emergencyName: string;
  /** Suspends what is held; a machine of its own, so that no version of the emergency takes it for one. */
  readonly suspension: Workflow;

  constructor(scope: Construct, id: string, props: IncidentStackProps) {
    super(scope, id, props);
    const { settings, state, rotation, network } = props;
    this.emergencyName = `${this.stackName}-emergency`;
    const { ledger } = state;
    const answers = may.answer(rotation.lifecycleArn);
    const common = { settings, logKey: state.key, endpoints: network?.endpoints };
    const environment: HandlerEnvironment = {
      tenant: settings.tenant,
      table: state.table.tableName,
      stuckAfter: String(settings.timing.stuckAfterSeconds),
    };

    const types = byType(settings.types, (type) => this.#ofType(type, props, environment));
    const record = new HandlerFunction(this, 'RecordEmergency', {
      ...common,
      name: 'record-emergency',
      description: 'Records the steps of an emergency, halts and resumes agents',
      timeout: Duration.seconds(30),
      environment: {
        ...environment,
        account: Aws.ACCOUNT_ID,
        bus: state.bus.eventBusName,
        snapshots: state.snapshots.bucketName,
        emergency: machineArn(this, this.emergencyName),
      },
      grants: [
        ...may.writeLedger(ledger),
        // Whether what was spooled stands in the trail.
        ...may.readRecords(ledger),
        ...may.readObjects(state.snapshotsArn, SNAPSHOTS),
        ...may.listObjects(state.snapshotsArn, INTENTS),
        ...may.readObjects(state.snapshotsArn, INTENTS),
        ...may.appendObjects(state.snapshotsArn, INTENTS),
        ...may.deleteObjects(state.snapshotsArn, INTENTS),
        ...may.watch(this.emergencyName),
        ...may.publish(state.bus.eventBusArn),
        ...answers,
      ],
    });
    this.functions = [...Object.values(types).flatMap(({ revoke, replace }) => [revoke, replace]), record];
    this.emergency = new Workflow(this, 'Emergency', {
      ...common,
      machineName: this.emergencyName,
      distributes: true,
      functions: this.functions,
      definition: emergency({
        'record-emergency': record,
        revoke: mapTypes(types, ({ revoke }) => revoke),
        replace: mapTypes(types, ({ replace }) => replace),
      }),
    });
    const revokers = mapTypes(types, ({ revoke }) => revoke);
    this.suspension = new Workflow(this, 'Suspension', {
      ...common,
      machineName: `${this.stackName}-suspension`,
      functions: Object.values(revokers),
      definition: suspension(revokers),
    });
    new Rule(this, 'SpoolSchedule', {
      description: 'Writes into the ledger what emergencies could not',
      schedule: Schedule.rate(SPOOL_EVERY),
      targets: [
        new LambdaTarget(record.live, {
          event: RuleTargetInput.fromObject({ action: 'reconcile' }),
          maxEventAge: SPOOL_EVERY,
        }),
      ],
    });
    new CfnOutput(this, OUTPUT.emergency, { value: this.emergency.machine.stateMachineArn });
  }

  #ofType(
    type: CredentialType,
    { settings, state, verifiers, rotation, network }: IncidentStackProps,
    environment: HandlerEnvironment,
  ): Record<'revoke' | 'replace', HandlerFunction> {
    const { ledger } = state;
    const secretsKey = state.secretsKey.keyArn;
    const secrets = may.secretsOf(type, settings);
    const upstream = upstreamOf(type, { settings, state, verifiers });
    const common = { ...upstream, settings, logKey: state.key, endpoints: network?.endpoints };
    const revoke = new HandlerFunction(this, idOf(`revoke-${type}`), {
      ...common,
      name: `revoke-${type}`,
      description: `Revokes a ${NOUN[type]} at once`,
      timeout: Duration.seconds(30),
      // A whole processor: loading the code is most of a cold start, and this is the path that counts.
      memoryMiB: 1769,
      reservedConcurrency: settings.reservedConcurrency.revoke,
      environment: { ...environment, ...upstream.environment, snapshots: state.snapshots.bucketName },
      grants: [
        ...may.writeLedger(ledger),
        ...may.readObjects(state.snapshotsArn, SNAPSHOTS),
        ...may.appendObjects(state.snapshotsArn, INTENTS),
        ...upstreamGrants(type, 'revoke', { settings, state, verifiers }),
        ...may.answer(rotation.lifecycleArn),
      ],
    });
    const replace = new HandlerFunction(this, idOf(`replace-${type}`), {
      ...common,
      name: `replace-${type}`,
      description: `Generates, validates and stores the replacement of a revoked ${NOUN[type]}`,
      timeout: Duration.seconds(120),
      environment: { ...environment, ...upstream.environment },
      grants: [
        ...may.writeLedger(ledger),
        ...may.readAgentSecrets(secrets, secretsKey),
        ...may.putAgentSecrets(secrets, secretsKey),
        ...may.labelAgentSecrets(secrets),
        ...upstreamGrants(type, 'replace', { settings, state, verifiers }),
      ],
    });
    return { revoke, replace };
  }
}

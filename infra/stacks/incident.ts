import { Aws, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction, type HandlerEnvironment } from '../constructs/handler-function.ts';
import { Workflow } from '../constructs/workflow.ts';
import { emergency } from '../machines/emergency.ts';
import * as may from '../permissions.ts';
import { INTENTS, SNAPSHOTS } from './evidence.ts';
import type { NetworkStack } from './network.ts';
import type { RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';

export interface IncidentStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
  /** Endpoints of the VPC, where Rekey makes them. */
  readonly network?: NetworkStack | undefined;
}

const TYPE = 'database';

/** The emergency: revokes first, then records, halts, replaces. */
export class IncidentStack extends Stack {
  readonly functions: readonly HandlerFunction[];
  readonly emergency: Workflow;
  readonly emergencyName: string;

  constructor(scope: Construct, id: string, props: IncidentStackProps) {
    super(scope, id, props);
    const { settings, state, rotation, network } = props;
    this.emergencyName = `${this.stackName}-emergency`;
    const { ledger } = state;
    const secretsKey = state.secretsKey.keyArn;
    const secrets = may.secretsOf(TYPE, settings);
    const admin = may.readAdminSecret(TYPE, settings.adminSecretKeyArns);
    const answers = may.answer(rotation.lifecycleArn);
    const common = { settings, logKey: state.key, endpoints: network?.endpoints };
    const environment: HandlerEnvironment = {
      tenant: settings.tenant,
      table: state.table.tableName,
      stuckAfter: String(settings.timing.stuckAfterSeconds),
    };

    const revoke = new HandlerFunction(this, 'RevokeDatabase', {
      ...common,
      name: 'revoke-database',
      description: 'Revokes a database credential at once',
      timeout: Duration.seconds(30),
      // A whole processor: loading the code is most of a cold start, and this is the path that counts.
      memoryMiB: 1769,
      database: true,
      reservedConcurrency: settings.reservedConcurrency.revoke,
      environment: { ...environment, snapshots: state.snapshots.bucketName },
      grants: [
        ...may.writeLedger(ledger),
        ...may.readObjects(state.snapshotsArn, SNAPSHOTS),
        ...may.appendObjects(state.snapshotsArn, INTENTS),
        ...admin,
        ...answers,
      ],
    });
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
      },
      grants: [
        ...may.writeLedger(ledger),
        ...may.readObjects(state.snapshotsArn, SNAPSHOTS),
        ...may.publish(state.bus.eventBusArn),
        ...answers,
      ],
    });
    const replace = new HandlerFunction(this, 'ReplaceDatabase', {
      ...common,
      name: 'replace-database',
      description: 'Generates, validates and stores the replacement of a revoked database credential',
      timeout: Duration.seconds(120),
      database: true,
      environment,
      grants: [
        ...may.writeLedger(ledger),
        ...may.readAgentSecrets(secrets, secretsKey),
        ...may.putAgentSecrets(secrets, secretsKey),
        ...may.labelAgentSecrets(secrets),
        ...admin,
      ],
    });
    this.functions = [revoke, record, replace];
    const called = { 'revoke-database': revoke, 'record-emergency': record, 'replace-database': replace };
    this.emergency = new Workflow(this, 'Emergency', {
      ...common,
      machineName: this.emergencyName,
      functions: called,
      definition: emergency(called),
    });
    new CfnOutput(this, OUTPUT.emergency, { value: this.emergency.machine.stateMachineArn });
  }
}

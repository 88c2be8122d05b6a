import { ArnFormat, Aws, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import {
  DefinitionBody,
  LogLevel,
  StateMachine,
  StateMachineType,
  type CfnStateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { placeholderOf, type Machine } from '../machines/states.ts';
import { acknowledge, acknowledgeGrants } from '../nag.ts';
import type { HandlerFunction } from './handler-function.ts';

export interface WorkflowProps {
  readonly machineName: string;
  readonly definition: Machine;
  /** Whether it has a distributed map, whose items are executions of the same machine. */
  readonly distributes?: boolean;
  /** The functions that the definition names. */
  readonly functions: readonly HandlerFunction[];
  readonly settings: Settings;
  readonly logKey: IKey;
}

/** A Standard machine that invokes aliases. Its log holds names of states and errors, never inputs or outputs. */
export class Workflow extends Construct {
  readonly machine: StateMachine;

  constructor(scope: Construct, id: string, props: WorkflowProps) {
    super(scope, id);
    const log = new LogGroup(this, 'Log', {
      // The prefix keeps the log's resource policy from growing with every machine of the account.
      logGroupName: `/aws/vendedlogs/states/${props.machineName}`,
      retention: props.settings.logRetentionDays,
      encryptionKey: props.logKey,
      // It has a name of its own, so that one left behind would stand in the way of the next deployment.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const aliases = props.functions.map((handler) => handler.live.functionArn);
    const substitutions = props.functions.map(({ functionName, live }) => [
      placeholderOf(functionName),
      live.functionArn,
    ]);
    this.machine = new StateMachine(this, 'Machine', {
      stateMachineName: props.machineName,
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(JSON.stringify(props.definition)),
      definitionSubstitutions: { partition: Aws.PARTITION, ...Object.fromEntries(substitutions) },
      logs: { destination: log, level: LogLevel.ERROR, includeExecutionData: false },
      tracingEnabled: true,
    });
    (this.machine.node.defaultChild as CfnStateMachine).addMetadata('cfn-lint', {
      // Its schema knows neither partitions other than "aws" nor JSONata in TimeoutSeconds; tests check the machines.
      config: { ignore_checks: ['E3601'] },
    });
    this.machine.addToRolePolicy(
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: aliases }),
    );
    if (props.distributes === true) this.#mayDistribute(props.machineName);
    acknowledge(
      this.machine.role,
      'AwsSolutions-IAM5[Resource::*]',
      'Delivery of logs and X-Ray segments know no resources; both are what Step Functions documents.',
    );
    acknowledge(
      this.machine,
      'AwsSolutions-SF1',
      'Only errors are logged, without data: inputs and outputs stay in the history, which Step Functions keeps.',
    );
  }

  /** What a distributed map asks of its machine's role (AWS: "IAM policies for Distributed Map"). */
  #mayDistribute(name: string): void {
    const executions = Stack.of(this).formatArn({
      service: 'states',
      resource: 'execution',
      resourceName: `${name}:*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    this.machine.addToRolePolicy(
      new PolicyStatement({ actions: ['states:StartExecution'], resources: [machineArn(this, name)] }),
    );
    const own = {
      actions: ['states:DescribeExecution', 'states:StopExecution'],
      resources: [executions],
      wildcard:
        'Executions of a distributed map are named by Step Functions; these are of this machine alone.',
    };
    this.machine.addToRolePolicy(new PolicyStatement({ actions: own.actions, resources: own.resources }));
    acknowledgeGrants(this.machine.role, [own]);
  }
}

/**
 * Name of a machine, so that its functions can know its ARN before it exists: the machine invokes them and they
 * start it, which would otherwise be a circle.
 */
export function machineArn(scope: Construct, name: string): string {
  return Stack.of(scope).formatArn({
    service: 'states',
    resource: 'stateMachine',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

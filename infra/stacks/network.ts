import { Aws, CfnOutput, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import { CfnSecurityGroup, CfnVPCEndpoint } from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { stackName } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { DatabaseNetwork } from '../constructs/database-network.ts';
import { throughEndpoints } from '../permissions.ts';
import type { NetworkSettings } from '../settings-schema.ts';
import type { StateStack } from './state.ts';

export interface NetworkStackProps extends StackProps {
  readonly settings: Settings;
  readonly network: NetworkSettings;
  readonly state: StateStack;
}

/** Services that database functions call through an interface endpoint, and the variable that takes its address. */
const INTERFACES = {
  secretsmanager: { id: 'SecretsManager', variable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER' },
  kms: { id: 'Kms', variable: 'AWS_ENDPOINT_URL_KMS' },
  states: { id: 'States', variable: 'AWS_ENDPOINT_URL_SFN' },
} as const;

/** Those that they call through a gateway endpoint, which costs nothing. */
const GATEWAYS = { dynamodb: 'DynamoDb', s3: 'S3' } as const;

/**
 * With `endpoints: "create"`: the way of database functions to AWS, for subnets without any other (ADR 016). Interface
 * endpoints have no private DNS name: they would take over the traffic of everybody in the VPC.
 */
export class NetworkStack extends Stack {
  /** Environment of the functions in the VPC: addresses of the interface endpoints. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly #props: NetworkStackProps;

  constructor(scope: Construct, id: string, props: NetworkStackProps) {
    super(scope, id, props);
    this.#props = props;
    const group = this.#securityGroup();
    this.endpoints = Object.fromEntries(
      Object.entries(INTERFACES).map(([service, { id: name, variable }]) => [
        variable,
        this.#interface(service, name, group.attrGroupId),
      ]),
    );
    for (const [service, name] of Object.entries(GATEWAYS)) this.#gateway(service, name);
  }

  #securityGroup(): CfnSecurityGroup {
    const { settings, network } = this.#props;
    const { vpcId, securityGroupIds } = DatabaseNetwork.of(this, network);
    return new CfnSecurityGroup(this, 'Group', {
      vpcId,
      groupDescription: `Rekey ${settings.stage}: endpoints, for its functions alone`,
      securityGroupIngress: network.securityGroupIds.map((_id, index) => ({
        ipProtocol: 'tcp',
        fromPort: 443,
        toPort: 443,
        sourceSecurityGroupId: Fn.select(index, securityGroupIds),
        description: 'Functions that log in to databases',
      })),
    });
  }

  /** An interface endpoint; the answer is its own regional address, imported by whoever uses it. */
  #interface(service: string, id: string, groupId: string): string {
    const { vpcId, subnetIds } = DatabaseNetwork.of(this, this.#props.network);
    const endpoint = new CfnVPCEndpoint(this, id, {
      vpcEndpointType: 'Interface',
      vpcId,
      serviceName: `com.amazonaws.${Aws.REGION}.${service}`,
      subnetIds,
      securityGroupIds: [groupId],
      privateDnsEnabled: false,
      policyDocument: this.#policy(service),
    });
    // The first entry is the regional name, as `<hosted zone>:<name>`.
    const name = Fn.select(1, Fn.split(':', Fn.select(0, endpoint.attrDnsEntries)));
    const exportName = `${this.stackName}:${id}Address`;
    // An export by hand: CDK's own can't carry an element of a list.
    new CfnOutput(this, `${id}Address`, { value: `https://${name}`, exportName });
    return Fn.importValue(exportName);
  }

  #gateway(service: string, id: string): void {
    const { network } = this.#props;
    new CfnVPCEndpoint(this, id, {
      vpcEndpointType: 'Gateway',
      vpcId: DatabaseNetwork.of(this, network).vpcId,
      serviceName: `com.amazonaws.${Aws.REGION}.${service}`,
      routeTableIds: network.dedicatedRouteTableIds,
      policyDocument: this.#policy(service),
    });
  }

  /** What this account's roles may do through an endpoint: what database functions call, where it is Rekey's. */
  #policy(service: string): PolicyDocument {
    const { settings, state } = this.#props;
    const grants = throughEndpoints({
      tableArn: state.table.tableArn,
      snapshotsArn: state.snapshotsArn,
      keyArn: state.key.keyArn,
      machines: stackName(settings.stage, 'rotation'),
    }).filter(({ actions }) => actions.every((action) => action.startsWith(`${service}:`)));
    return new PolicyDocument({
      statements: grants.map(
        ({ actions, resources }) =>
          new PolicyStatement({
            principals: [new AnyPrincipal()],
            actions: [...actions],
            resources: [...resources],
            conditions: { StringEquals: { 'aws:PrincipalAccount': Aws.ACCOUNT_ID } },
          }),
      ),
    });
  }
}

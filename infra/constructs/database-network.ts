import { createHash } from 'node:crypto';
import { CfnParameter, CfnRule, Fn, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { NetworkSettings } from '../settings-schema.ts';

const ID = 'DatabaseNetwork';

/**
 * The network of the settings, in a stack that uses it: as parameters of AWS-specific types, which must exist in account
 * and region, and a rule that wants each subnet in the VPC and in its zone. CloudFormation holds both before it changes
 * anything (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html).
 */
export class DatabaseNetwork extends Construct {
  readonly vpcId: string;
  readonly subnetIds: string[];
  readonly securityGroupIds: string[];

  private constructor(stack: Stack, network: NetworkSettings) {
    super(stack, ID);
    const ids = network.subnets.map((subnet) => subnet.id);
    const vpc = this.#parameter('Vpc', 'AWS::EC2::VPC::Id', [network.vpcId]);
    const subnets = this.#parameter('Subnets', 'List<AWS::EC2::Subnet::Id>', ids);
    const groups = this.#parameter(
      'SecurityGroups',
      'List<AWS::EC2::SecurityGroup::Id>',
      network.securityGroupIds,
    );
    this.vpcId = vpc.valueAsString;
    this.subnetIds = subnets.valueAsList;
    this.securityGroupIds = groups.valueAsList;
    // Of a list of subnets: the list of their attributes, which CDK's types take for a single text.
    const of = (attribute: string): string[] => Token.asList(Fn.valueOf(subnets.logicalId, attribute));
    new CfnRule(this, 'Subnets', {
      assertions: [
        {
          assert: Fn.conditionEachMemberEquals(of('VpcId'), this.vpcId),
          assertDescription: `network.subnets: one is not in ${network.vpcId}; correct it or network.vpcId`,
        },
        {
          assert: Fn.conditionEachMemberIn(of('AvailabilityZone'), [
            ...new Set(network.subnets.map(({ zone }) => zone)),
          ]),
          assertDescription: 'network.subnets: one is in another zone than the settings say; correct it',
        },
      ],
    });
  }

  /** The network in the stack of `scope`, made where the stack has none yet. */
  static of(scope: Construct, network: NetworkSettings): DatabaseNetwork {
    const stack = Stack.of(scope);
    const found = stack.node.tryFindChild(ID);
    return found instanceof DatabaseNetwork ? found : new DatabaseNetwork(stack, network);
  }

  #parameter(name: string, type: string, values: readonly string[]): CfnParameter {
    const parameter = new CfnParameter(this, `${name}Parameter`, { type, default: values.join(',') });
    // `cdk deploy` keeps the former value of a parameter that a stack has: another value is another parameter.
    const digest = createHash('sha256').update(values.join()).digest('hex').slice(0, 8);
    parameter.overrideLogicalId(`${name}${digest}`);
    return parameter;
  }
}

import { runSimulation } from '@cloud-copilot/iam-simulate';
import type { IamRequest } from '../../../local/gateway/requests.ts';
import { localAccountId } from '../../../local/settings.ts';
import {
  at,
  list,
  text,
  type Json,
  type JsonObject,
  type Resource,
  type Stack,
  type Stacks,
} from '../../infra/app.ts';
import { grantsOf, spoken, type Grant } from './grants.ts';
import { Resolver, type PhysicalNames } from './resolve.ts';

/** A role of the app with its policy taken apart: one grant is one action on one resource. */
export interface Role {
  /** The function's name, or the logical id of the machine (or of the role itself) that it belongs to. */
  readonly name: string;
  readonly arn: string;
  /** Taken by a function or a machine, not by people. */
  readonly ofService: boolean;
  readonly grants: readonly Grant[];
}

/** What IAM answers. */
export interface Decision {
  readonly allowed: boolean;
  /** The grants that allow it, by their text. */
  readonly by: readonly string[];
  /** Why it isn't allowed. */
  readonly because: string;
}

/** Where the policy of a resource stands in a template, and whose it is. */
const RESOURCE_POLICIES: Readonly<Record<string, { policy: string; of: string }>> = {
  'AWS::S3::BucketPolicy': { policy: 'PolicyDocument', of: 'Bucket' },
  'AWS::SQS::QueuePolicy': { policy: 'PolicyDocument', of: 'Queues' },
  'AWS::SNS::TopicPolicy': { policy: 'PolicyDocument', of: 'Topics' },
};

/**
 * Actions that Step Functions authorises on the machine that waits, though its page of the Service Authorization
 * Reference, which the simulator follows, lists no resource for them (aws-cdk: StateMachine.grantTaskResponse). They
 * are asked as another action on a machine.
 */
const STAND_INS: Readonly<Record<string, string>> = {
  'states:SendTaskSuccess': 'states:DescribeStateMachine',
  'states:SendTaskFailure': 'states:DescribeStateMachine',
  'states:SendTaskHeartbeat': 'states:DescribeStateMachine',
};

/** The policies of the synthesised app, and IAM's answer under them. */
export class Policies {
  readonly roles: readonly Role[];
  readonly resolver: Resolver;
  readonly stacks: Stacks;
  /** By ARN. */
  readonly #ofResources = new Map<string, JsonObject>();

  constructor(stacks: Stacks, names: PhysicalNames = {}) {
    this.stacks = stacks;
    this.resolver = new Resolver(stacks, names);
    this.roles = this.each('AWS::IAM::Role').map(([role, stack]) => this.#role(role, stack));
    for (const [key, stack] of this.each('AWS::KMS::Key')) {
      this.#keep(this.resolver.arn(key, stack), key.Properties['KeyPolicy'], stack);
    }
    for (const [type, { policy, of }] of Object.entries(RESOURCE_POLICIES)) {
      for (const [resource, stack] of this.each(type)) {
        for (const owner of list(resource.Properties[of])) {
          const found = stack.resources.find(({ logicalId }) => logicalId === at(owner, 'Ref'));
          if (found === undefined) throw new Error(`${resource.logicalId}: no owner in its stack`);
          this.#keep(this.resolver.arn(found, stack), resource.Properties[policy], stack);
        }
      }
    }
  }

  role(name: string): Role {
    const found = this.roles.find((role) => role.name === name);
    if (found === undefined) throw new Error(`the app has no role ${name}`);
    return found;
  }

  /** Resources of a type with their stacks. */
  each(type: string): [Resource, Stack][] {
    return Object.values(this.stacks).flatMap((stack) =>
      stack.resources
        .filter(({ Type }) => Type === type)
        .map((resource): [Resource, Stack] => [resource, stack]),
    );
  }

  /** The ARN of what a template refers to by name, or its text where that is one already. */
  arn(reference: Json | undefined, stack: Stack): string {
    const found = stack.resources.find(({ logicalId }) => logicalId === at(reference, 'Ref'));
    return found === undefined ? this.resolver.text(reference ?? '', stack) : this.resolver.arn(found, stack);
  }

  /** The role of a function or a machine. */
  roleOf(owner: Resource, stack: Stack): Role {
    const arn = this.resolver.text(owner.Properties['Role'] ?? owner.Properties['RoleArn'] ?? '', stack);
    const found = this.roles.find((role) => role.arn === arn);
    if (found === undefined) throw new Error(`${owner.logicalId} has no role of this app`);
    return found;
  }

  /** The role of the function that a mapping, a rule or the like invokes, through an alias or not. */
  invoked(reference: Json | undefined, stack: Stack): Role {
    const name = this.resolver
      .text(reference ?? '', stack)
      .replace(/^arn:.*:function:/, '')
      .split(':')[0];
    for (const [handler, where] of this.each('AWS::Lambda::Function')) {
      if (this.resolver.arn(handler, where).endsWith(`:function:${name}`)) return this.roleOf(handler, where);
    }
    throw new Error(`no function of this app is ${name}`);
  }

  /** The customer keys under a table. */
  keysOfTable(arn: string): string[] {
    return this.each('AWS::DynamoDB::Table')
      .filter(([table, stack]) => this.resolver.arn(table, stack) === arn)
      .flatMap(([table, stack]) => {
        const key = at(table.Properties, 'SSESpecification', 'KMSMasterKeyId');
        return key === undefined ? [] : [this.resolver.text(key, stack)];
      });
  }

  /** Whether a role, or a service in its own name, may do it. Every call of ours goes over TLS. */
  async decide(
    principal: Role | string,
    { action, resource = '*', context = {} }: IamRequest,
  ): Promise<Decision> {
    const isService = typeof principal === 'string';
    // The others could not match; leaving them out is most of the time that a simulation takes.
    const grants = isService ? [] : principal.grants.filter((grant) => concerns(grant, action));
    const resourcePolicy = this.#ofResources.get(ownerOf(resource));
    const asked = resource === '*' ? action : (STAND_INS[action] ?? action);
    const identity = {
      Version: '2012-10-17',
      Statement: grants.map(({ statement }, index) => ({
        ...statement,
        Sid: `G${index}`,
        ...(asked === action ? {} : { Action: asked }),
      })),
    };
    const answer = await runSimulation(
      {
        request: {
          principal: isService ? principal : principal.arn,
          action: asked,
          resource: { resource, accountId: localAccountId },
          contextVariables: {
            'aws:SecureTransport': 'true',
            ...Object.fromEntries(
              Object.entries(context).map(([key, value]) => [
                spoken(key),
                typeof value === 'string' ? value : [...value],
              ]),
            ),
          },
        },
        identityPolicies: grants.length === 0 ? [] : [{ name: 'role', policy: identity }],
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        ...(resourcePolicy === undefined ? {} : { resourcePolicy }),
      },
      {},
    );
    if (answer.resultType === 'error') {
      throw new Error(`${action} on ${resource} can't be simulated: ${JSON.stringify(answer.errors)}`);
    }
    const analysis = answer.resultType === 'single' ? answer.result.analysis : answer.results.at(0)?.analysis;
    const by = (analysis?.identityAnalysis?.allowStatements ?? []).map(
      ({ statement }) => grants[Number(statement.sid()?.slice(1))]?.text ?? '?',
    );
    return { allowed: answer.overallResult === 'Allowed', by, because: answer.overallResult };
  }

  #role(role: Resource, stack: Stack): Role {
    if (role.Properties['Policies'] !== undefined) {
      throw new Error(`${role.logicalId} has Policies of its own, which the tests of the roles don't read`);
    }
    const managed = list(role.Properties['ManagedPolicyArns']).map((reference) => {
      const found = stack.resources.find(({ logicalId }) => logicalId === at(reference, 'Ref'));
      if (found === undefined) throw new Error(`${role.logicalId} has a policy that isn't of its stack`);
      return found;
    });
    // What doesn't fit into a role's own policy CDK puts into a managed one beside it.
    const own = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy']
      .flatMap((type) => this.each(type))
      .filter(([policy, where]) => where === stack && refersTo(policy.Properties['Roles'], role.logicalId))
      .map(([policy]) => policy);
    const trusted = list(at(role.Properties, 'AssumeRolePolicyDocument', 'Statement'));
    return {
      name: this.#owner(role, stack),
      arn: this.resolver.arn(role, stack),
      ofService: trusted.every((each) => at(each, 'Principal', 'Service') !== undefined),
      grants: [...own, ...managed]
        .flatMap((policy) => list(at(policy.Properties, 'PolicyDocument', 'Statement')))
        .flatMap((each) => grantsOf(each as JsonObject, (value) => this.resolver.resolve(value, stack))),
    };
  }

  #owner(role: Resource, stack: Stack): string {
    const owns = (each: Resource): boolean =>
      [each.Properties['Role'], each.Properties['RoleArn']].some(
        (reference) => at(reference, 'Fn::GetAtt', '0') === role.logicalId,
      );
    const owner = stack.resources.find(owns);
    return text(at(owner?.Properties, 'Environment', 'Variables', 'REKEY_FUNCTION')) || idOf(owner ?? role);
  }

  #keep(arn: string, policy: Json | undefined, stack: Stack): void {
    if (policy === undefined) throw new Error(`${arn} has no policy`);
    this.#ofResources.set(arn, spoken(this.resolver.resolve(policy, stack) as JsonObject));
  }
}

/** The resource whose policy counts: a bucket for its objects. */
function ownerOf(resource: string): string {
  return resource.startsWith('arn:aws:s3:::') ? (resource.split('/')[0] ?? resource) : resource;
}

function concerns({ action }: Grant, asked: string): boolean {
  return action.includes('*') || action.toLowerCase() === asked.toLowerCase();
}

function refersTo(roles: Json | undefined, logicalId: string): boolean {
  return list(roles).some((each) => at(each, 'Ref') === logicalId);
}

/** A logical id without the hash that CDK adds. */
function idOf({ logicalId }: Resource): string {
  return logicalId.replace(/[0-9A-F]{8}$/, '');
}

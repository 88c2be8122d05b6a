import { Aws, Stack, type StackProps } from 'aws-cdk-lib';
import { AccountRootPrincipal, ManagedPolicy, Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { RECORDS, TAMPERING, UPSTREAM_USES, USES } from '../../shared/domain/archive-keys.ts';
import { API_ROUTES, ROLES, roleTag, type Role as Person } from '../../shared/domain/access.ts';
import { stackName, STACK_ROLES } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { acknowledgeGrants } from '../nag.ts';
import {
  callApi,
  countSubscribers,
  describeStacks,
  describeTrails,
  readEvidence,
  statement,
  type Grant,
} from '../permissions.ts';
import type { ApiStack } from './api.ts';
import type { MonitoringStack } from './monitoring.ts';
import { RESULTS, type EvidenceStack } from './evidence.ts';

export interface AccessStackProps extends StackProps {
  readonly settings: Settings;
  readonly evidence: EvidenceStack;
  readonly api: ApiStack;
  readonly monitoring: MonitoringStack;
}

/**
 * What people may do, as a policy and a role each. The policy is for principals that exist (a permission set, a group):
 * the audit trail then names the person. The role is for IAM users without one: it is assumed by attribute, under a
 * session name that is the user's own, since the trail names the session.
 */
export class AccessStack extends Stack {
  constructor(scope: Construct, id: string, props: AccessStackProps) {
    super(scope, id, props);
    // Their exports are taken by value, which tells CDK of no order.
    this.addStackDependency(props.api);
    this.addStackDependency(props.evidence);
    for (const person of ROLES) this.#role(person, props);
  }

  #role(person: Person, props: AccessStackProps): void {
    const { stage } = props.settings;
    const grants = grantsOf(person, props);
    const policy = new ManagedPolicy(this, `${title(person)}Policy`, {
      managedPolicyName: `rekey-${stage}-${person}`,
      description: `Rekey ${stage}: ${person}`,
      statements: grants.map(statement),
    });
    acknowledgeGrants(policy, grants);
    new Role(this, `${title(person)}Role`, {
      roleName: `rekey-${stage}-${person}`,
      description: `Rekey ${stage}: ${person}, for IAM users with the tag ${roleTag(stage)}`,
      assumedBy: new AccountRootPrincipal().withConditions({
        StringLike: { [`aws:PrincipalTag/${roleTag(stage)}`]: `*${person}*` },
        StringEquals: { 'sts:RoleSessionName': '${aws:username}' },
      }),
      managedPolicies: [policy],
    });
  }
}

function grantsOf(person: Person, { settings, evidence, api, monitoring }: AccessStackProps): Grant[] {
  const routes = API_ROUTES.filter(({ roles }) => roles.includes(person));
  return [
    ...callApi(api.apiId, routes),
    ...describeStacks(STACK_ROLES.map((role) => stackName(settings.stage, role))),
    ...countSubscribers(monitoring.topic.topicArn),
    ...describeTrails(),
    ...(person === 'auditor' ? evidenceOf(evidence) : []),
  ];
}

function evidenceOf({ archiveArn, queryResultsArn, workgroupName, databaseName }: EvidenceStack): Grant[] {
  return readEvidence({
    archiveArn,
    prefixes: [RECORDS, TAMPERING, USES, UPSTREAM_USES],
    resultsArn: queryResultsArn,
    resultsPrefix: RESULTS,
    workgroupArn: `arn:${Aws.PARTITION}:athena:${Aws.REGION}:${Aws.ACCOUNT_ID}:workgroup/${workgroupName}`,
    database: databaseName,
  });
}

function title(person: Person): string {
  return person[0]?.toUpperCase() + person.slice(1);
}

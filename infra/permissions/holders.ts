import { TAG } from '../../shared/names.ts';
import { arn, type Grant } from './grant.ts';

/**
 * Looks at the services and functions that hold a credential, and redeploys services: only those whose owner has
 * consented by the tag of this deployment.
 */
export function watchHolders(stage: string): Grant[] {
  const consented = { StringEquals: { [`aws:ResourceTag/${TAG.stage}`]: stage } };
  const wildcard =
    'Holders are declared at run time; their owner consents by the tag that the condition demands.';
  return [
    {
      actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
      resources: [arn('ecs', 'service/*')],
      conditions: consented,
      wildcard,
    },
    ...[
      { actions: ['ecs:ListTasks'], resources: [arn('ecs', 'container-instance/*')] },
      { actions: ['ecs:DescribeTasks'], resources: [arn('ecs', 'task/*')] },
    ].map((grant) => ({
      ...grant,
      wildcard:
        'ECS lists tasks by container instance, and they carry the tags of their service only where it says so.',
    })),
    {
      actions: ['lambda:GetAlias', 'lambda:GetFunctionConfiguration', 'lambda:ListVersionsByFunction'],
      resources: [arn('lambda', 'function:*')],
      conditions: consented,
      wildcard,
    },
  ];
}

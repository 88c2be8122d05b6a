/** Why a resource type is bridged, and how it is applied instead. */
export interface Bridge {
  readonly reason: string;
  /** `api`: applied through MiniStack's API after the deployment. `none`: left out, the local stack has nothing like it. */
  readonly how: 'api' | 'none';
}

/**
 * The resource types that MiniStack's CloudFormation lacks. They are taken out of the templates before `cdk deploy`
 * and applied from the same templates afterwards. Everything else is deployed by CloudFormation as on AWS, so this
 * list is the whole difference; a test keeps it from growing unseen.
 */
export const BRIDGED_TYPES: Readonly<Record<string, Bridge>> = {
  'AWS::Athena::NamedQuery': {
    how: 'api',
    reason: 'CloudFormation of MiniStack has no handler; its Athena does',
  },
  'AWS::Events::Archive': {
    how: 'api',
    reason: 'CloudFormation of MiniStack has no handler; its EventBridge does',
  },
  'AWS::SecretsManager::ResourcePolicy': {
    how: 'api',
    reason: 'CloudFormation of MiniStack has no handler; its Secrets Manager does',
  },
  'AWS::SecretsManager::RotationSchedule': {
    how: 'api',
    reason: 'CloudFormation of MiniStack has no handler, and its rotation is the gateway',
  },
};

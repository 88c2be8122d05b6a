import { Aws } from 'aws-cdk-lib';
import { TAG } from '../../shared/names.ts';
import type { Grant } from './grant.ts';

const ACCESS_KEY_TAGS = ['rekey:key:*', 'rekey:intent'];
const BEDROCK_KEY_TAGS = ['rekey:bedrock-key:*', 'rekey:bedrock-intent'];

/** Only users whose owner has consented by the tag of this deployment, which Rekey can't set itself. */
function ofUsers(stage: string, actions: readonly string[]): Grant {
  return {
    actions: actions.map((action) => `iam:${action}`),
    resources: [`arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:user/*`],
    conditions: { StringEquals: consent(stage) },
    wildcard: 'Users are declared at run time; their owner consents by the tag that the condition demands.',
  };
}

function consent(stage: string): Readonly<Record<string, string>> {
  return { [`aws:ResourceTag/${TAG.stage}`]: stage };
}

/** Sets or takes off what Rekey remembers of keys, and no other tag: least of all the one that is the consent. */
function ofMarks(stage: string, action: string, tags: readonly string[] = ACCESS_KEY_TAGS): Grant {
  return {
    ...ofUsers(stage, [action]),
    conditions: {
      StringEquals: consent(stage),
      'ForAllValues:StringLike': { 'aws:TagKeys': [...tags] },
      // For all of none is true as well.
      Null: { 'aws:TagKeys': 'false' },
    },
  };
}

/** Looks at access keys, and when they were used. */
export function lookAtAccessKeys(stage: string): Grant[] {
  return [
    ofUsers(stage, ['ListAccessKeys']),
    {
      actions: ['iam:GetAccessKeyLastUsed'],
      resources: ['*'],
      wildcard: 'IAM knows no resource for it; the answer is a time, a service and a region.',
    },
  ];
}

/** Finds keys by what Rekey remembers of them, suspends, restores and ends them. */
export function endAccessKeys(stage: string): Grant[] {
  const actions = ['ListAccessKeys', 'ListUserTags', 'UpdateAccessKey', 'DeleteAccessKey'];
  return [ofUsers(stage, actions), ofMarks(stage, 'UntagUser')];
}

/** Makes keys: registration, rotation and the replacement in an emergency. They end what an interrupted attempt has left. */
export function makeAccessKeys(stage: string): Grant[] {
  return [ofUsers(stage, ['CreateAccessKey']), ofMarks(stage, 'TagUser'), ...endAccessKeys(stage)];
}

/** Looks at the names of inline policies, to tell of those that an emergency has left. */
export function lookAtUserPolicies(stage: string): Grant[] {
  return [ofUsers(stage, ['ListUserPolicies'])];
}

/**
 * Denies what sessions of a user do that were issued before now: the emergency's revocation, and the sweep before its
 * replacement. IAM knows no condition on what an inline policy says or is called, so that these two could also grant
 * something: a permissions boundary on the user is what bounds that.
 */
export function cutUserSessions(stage: string): Grant[] {
  return [...lookAtUserPolicies(stage), ofUsers(stage, ['PutUserPolicy', 'DeleteUserPolicy'])];
}

/** Looks at keys for Bedrock. */
export function lookAtBedrockKeys(stage: string): Grant[] {
  return [ofUsers(stage, ['ListServiceSpecificCredentials'])];
}

/** Finds keys for Bedrock by what Rekey remembers of them, suspends, restores and ends them. */
export function endBedrockKeys(stage: string): Grant[] {
  const actions = ['UpdateServiceSpecificCredential', 'DeleteServiceSpecificCredential', 'ListUserTags'];
  return [
    ...lookAtBedrockKeys(stage),
    ofUsers(stage, actions),
    ofMarks(stage, 'UntagUser', BEDROCK_KEY_TAGS),
  ];
}

/** Makes keys for Bedrock, and for no other service. Who makes them ends what an interrupted attempt has left. */
export function makeBedrockKeys(stage: string): Grant[] {
  const create = ofUsers(stage, ['CreateServiceSpecificCredential']);
  const service = { 'iam:ServiceSpecificCredentialServiceName': 'bedrock.amazonaws.com' };
  return [
    { ...create, conditions: { StringEquals: { ...consent(stage), ...service } } },
    ofMarks(stage, 'TagUser', BEDROCK_KEY_TAGS),
    ...endBedrockKeys(stage),
  ];
}

import { TAG } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { arn, viaService, type Grant } from './grant.ts';
import { invoke } from './services.ts';

/** Which secrets: of a credential type, or of several, made by the deployment of a stage. */
export interface SecretsOf {
  readonly type: string | string[];
  readonly stage: string;
  /** What the names begin with of those that Rekey makes: a tag alone could be put on a secret of somebody else. */
  readonly prefix: string;
  /** The same of those that it may adopt beside them, and the customer keys that these are encrypted with. */
  readonly adoptPrefixes: readonly string[];
  readonly adoptKeyArns: readonly string[];
}

/** The secrets of a type, or of several, that a deployment with `settings` reaches. */
export function secretsOf(
  type: SecretsOf['type'],
  {
    stage,
    secretPrefix: prefix,
    adoptPrefixes,
    adoptKeyArns,
  }: Pick<Settings, 'stage' | 'secretPrefix' | 'adoptPrefixes' | 'adoptKeyArns'>,
): SecretsOf {
  return { type, stage, prefix, adoptPrefixes, adoptKeyArns };
}

/** Every secret of the account: only with a condition. */
export const ANY_SECRET = arn('secretsmanager', 'secret:*');
/** Every secret whose name begins so. */
export const secretsBelow = (prefix: string): string => arn('secretsmanager', `secret:${prefix}*`);
const secretWildcard =
  'Secrets are registered at run time; the condition on the tag narrows the pattern to those of Rekey (ADR: roles by attributes).';

/** Only secrets below the prefixes that carry the tags of that type and of this deployment (hard decision 15). */
function agentSecrets(of: SecretsOf, actions: readonly string[]): Grant {
  return {
    actions: actions.map((action) => `secretsmanager:${action}`),
    resources: [of.prefix, ...of.adoptPrefixes].map(secretsBelow),
    conditions: { StringEquals: tagsOf(of) },
    wildcard: secretWildcard,
  };
}

/** The tags by which roles reach secrets of a type. */
export function tagsOf({ type, stage }: SecretsOf): Readonly<Record<string, SecretsOf['type']>> {
  return { [`aws:ResourceTag/${TAG.type}`]: type, [`aws:ResourceTag/${TAG.stage}`]: stage };
}

/** Reads a secret of agents: its value and its labels. */
export function readAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    agentSecrets(of, ['DescribeSecret', 'GetSecretValue']),
    viaService('secretsmanager', [secretsKeyArn, ...of.adoptKeyArns], ['kms:Decrypt']),
  ];
}

/** Stores a version. */
export function putAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    agentSecrets(of, ['PutSecretValue']),
    viaService('secretsmanager', [secretsKeyArn, ...of.adoptKeyArns], ['kms:GenerateDataKey', 'kms:Decrypt']),
  ];
}

/** Moves labels between versions. */
export function labelAgentSecrets(of: SecretsOf): Grant[] {
  return [agentSecrets(of, ['UpdateSecretVersionStage'])];
}

/**
 * Asks Secrets Manager to rotate, after taking a label off that an abandoned rotation has left. The service checks
 * that the caller may invoke the rotation function.
 */
export function rotateAgentSecrets(of: SecretsOf, rotatorArns: readonly string[]): Grant[] {
  return [
    agentSecrets(of, ['DescribeSecret', 'RotateSecret']),
    stripAgentSecrets(of),
    ...rotatorArns.flatMap(invoke),
  ];
}

/** Takes off the label of a version that is to come: which version agents read is not the caller's to choose. */
function stripAgentSecrets(of: SecretsOf): Grant {
  return {
    ...agentSecrets(of, ['UpdateSecretVersionStage']),
    conditions: {
      StringEquals: tagsOf(of),
      // AWS documents the key as a list, and asks for a set operator. A request to move a label names one.
      'ForAnyValue:StringEquals': { 'secretsmanager:VersionStage': 'AWSPENDING' },
    },
  };
}

/** Sets by whom and how often a secret is rotated. The service checks that the caller may invoke that function. */
export function configureRotation(of: SecretsOf, rotatorArn: string): Grant[] {
  return [agentSecrets(of, ['RotateSecret']), ...invoke(rotatorArn)];
}

/** Creates a secret that carries Rekey's tag from its first moment; a secret of anybody else can't be tagged. */
export function createAgentSecrets(of: SecretsOf, secretsKeyArn: string): Grant[] {
  return [
    {
      actions: ['secretsmanager:CreateSecret', 'secretsmanager:TagResource'],
      resources: [secretsBelow(of.prefix)],
      conditions: {
        StringEquals: { [`aws:RequestTag/${TAG.type}`]: of.type, [`aws:RequestTag/${TAG.stage}`]: of.stage },
        // Never rekey:admin, which would make a secret readable as an administrative one.
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.credential] },
      },
      wildcard: 'The secret does not exist yet; the condition demands the tag of Rekey in the request.',
    },
    {
      actions: ['secretsmanager:DescribeSecret'],
      resources: [secretsBelow(of.prefix)],
      wildcard: 'Tells whether a name is taken by a secret of somebody else; describing shows no value.',
    },
    // Undoes a registration that failed for good; never of what was there before.
    { ...agentSecrets(of, ['DeleteSecret']), resources: [secretsBelow(of.prefix)] },
    viaService('secretsmanager', [secretsKeyArn], ['kms:GenerateDataKey', 'kms:Decrypt']),
  ];
}

/**
 * Takes over a secret that exists, or gives it back. Its owner's tags are the consent, which Rekey can't give itself: it
 * may add and remove nothing but the tag that names the credential, on a secret that carries the other two.
 */
export function adoptAgentSecrets(of: SecretsOf): Grant[] {
  return [
    ...(of.adoptPrefixes.length === 0
      ? []
      : [
          {
            actions: ['secretsmanager:DescribeSecret'],
            resources: of.adoptPrefixes.map(secretsBelow),
            wildcard: 'Tells what is there to adopt, and which tags are missing; describing shows no value.',
          },
        ]),
    {
      ...agentSecrets(of, ['TagResource', 'UntagResource']),
      conditions: {
        StringEquals: tagsOf(of),
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.credential] },
        // For all of none is true as well.
        Null: { 'aws:TagKeys': 'false' },
      },
    },
    agentSecrets(of, ['CancelRotateSecret']),
  ];
}

/** Takes off a secret that Rekey made what Rekey has put there, its tags last, so that no role reaches it any more. */
export function letGoOfAgentSecrets(of: SecretsOf): Grant[] {
  return [
    stripAgentSecrets(of),
    {
      ...agentSecrets(of, ['UntagResource']),
      resources: [secretsBelow(of.prefix)],
      conditions: {
        StringEquals: tagsOf(of),
        'ForAllValues:StringEquals': { 'aws:TagKeys': [TAG.type, TAG.stage, TAG.credential] },
        Null: { 'aws:TagKeys': 'false' },
      },
    },
  ];
}

/**
 * Lists the account's secrets, and reads those below `adoptPrefixes` for their form: naming a prefix there is the
 * consent. Administrative ones are never among them.
 */
export function takeInventory({
  adoptPrefixes,
  adoptKeyArns,
}: Pick<SecretsOf, 'adoptPrefixes' | 'adoptKeyArns'>): Grant[] {
  return [
    {
      actions: ['secretsmanager:ListSecrets'],
      resources: ['*'],
      wildcard: 'Listing knows no resource; it shows names, tags and dates, no value.',
    },
    ...(adoptPrefixes.length === 0
      ? []
      : [
          {
            actions: ['secretsmanager:GetSecretValue'],
            resources: adoptPrefixes.map(secretsBelow),
            conditions: { Null: { [`aws:ResourceTag/${TAG.admin}`]: 'true' } },
            wildcard: 'Secrets are found at run time; the pattern is a prefix that the settings name.',
          },
        ]),
    ...(adoptKeyArns.length === 0 ? [] : [viaService('secretsmanager', adoptKeyArns, ['kms:Decrypt'])]),
  ];
}

/** Reads roots of a type, which administer themselves or each other; none that isn't declared as one, by its owner's tags. */
export function readRoots(type: string, stage: string, keyArns: readonly string[]): Grant[] {
  return [
    {
      actions: ['secretsmanager:GetSecretValue'],
      resources: [ANY_SECRET],
      conditions: {
        StringEquals: { [`aws:ResourceTag/${TAG.type}`]: type, [`aws:ResourceTag/${TAG.stage}`]: stage },
      },
      wildcard: secretWildcard,
    },
    ...(keyArns.length === 0 ? [] : [viaService('secretsmanager', keyArns, ['kms:Decrypt'])]),
  ];
}

/** Reads the administrative credential of a target; only functions that log in to the target as its administrator. */
export function readAdminSecret(type: string, keyArns: readonly string[]): Grant[] {
  return [
    {
      actions: ['secretsmanager:GetSecretValue'],
      resources: [ANY_SECRET],
      conditions: { StringEquals: { [`aws:ResourceTag/${TAG.admin}`]: type } },
      wildcard: secretWildcard,
    },
    ...(keyArns.length === 0 ? [] : [viaService('secretsmanager', keyArns, ['kms:Decrypt'])]),
  ];
}

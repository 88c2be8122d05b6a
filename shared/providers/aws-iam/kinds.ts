import { CAPABILITIES } from '../../domain/capabilities.ts';
import { ACCESS_KEY_TAGS, BEDROCK_KEY_TAGS, type TagNames } from './marks.ts';

/** A sort of keys that a user has: IAM treats them alike, under other names. */
export interface KeyKind {
  /** What they are called in messages. */
  readonly plural: string;
  readonly calls: Readonly<Record<'list' | 'create' | 'update' | 'remove', string>>;
  /** Names of the elements and parameters with a new key, the id of one, and its value. */
  readonly made: string;
  readonly id: string;
  readonly value: string;
  /** What creating and listing have to say beside the user. */
  readonly of: Readonly<Record<string, string>>;
  /** Keys of Rekey's own that a user may have. */
  readonly maxLive: number;
  readonly tags: TagNames;
}

/** Access keys. */
export const ACCESS_KEYS: KeyKind = {
  plural: 'access keys',
  calls: {
    list: 'ListAccessKeys',
    create: 'CreateAccessKey',
    update: 'UpdateAccessKey',
    remove: 'DeleteAccessKey',
  },
  made: 'AccessKey',
  id: 'AccessKeyId',
  value: 'SecretAccessKey',
  of: {},
  maxLive: CAPABILITIES['cloud-key/aws-iam'].overlap.maxLive,
  tags: ACCESS_KEY_TAGS,
};

/** Long-term keys of Amazon Bedrock. There is a call that resets one in place: its old value would die at once. */
export const BEDROCK_KEYS: KeyKind = {
  plural: 'keys for Bedrock',
  calls: {
    list: 'ListServiceSpecificCredentials',
    create: 'CreateServiceSpecificCredential',
    update: 'UpdateServiceSpecificCredential',
    remove: 'DeleteServiceSpecificCredential',
  },
  made: 'ServiceSpecificCredential',
  id: 'ServiceSpecificCredentialId',
  value: 'ServiceCredentialSecret',
  of: { ServiceName: 'bedrock.amazonaws.com' },
  maxLive: CAPABILITIES['llm-key/bedrock'].overlap.maxLive,
  tags: BEDROCK_KEY_TAGS,
};

import { recordOf, recordsOf, textOf } from '../json.ts';
import { localAccountId, localRegion } from '../settings.ts';
import type { IamRequest } from './requests.ts';

type Input = Readonly<Record<string, unknown>>;

/** A key as policies see it. */
interface Key {
  readonly usage: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Operations on one key that ask for the action of the same name. */
const ON_A_KEY = ['Encrypt', 'Decrypt', 'Sign', 'GetPublicKey', 'DisableKey', 'ScheduleKeyDeletion'];

/**
 * What IAM is asked about calls of KMS itself: for what a key is used, its encryption context says, and its tags whose it is.
 * It remembers the keys that it saw being made at run time.
 */
export class KmsRequests {
  readonly #keys = new Map<string, Key>();

  of(operation: string, input: Input): readonly IamRequest[] | undefined {
    if (operation === 'CreateKey') return asksToMake(input);
    const id = textOf(input['KeyId']);
    if (id === undefined || !ON_A_KEY.includes(operation)) return undefined;
    const resource = id.startsWith('arn:') ? id : `arn:aws:kms:${localRegion}:${localAccountId}:key/${id}`;
    const key = this.#keys.get(resource);
    return [
      {
        action: `kms:${operation}`,
        resource,
        context: {
          'kms:CallerAccount': localAccountId,
          ...prefixed('kms:EncryptionContext:', recordOf(input['EncryptionContext'])),
          ...(key === undefined ? {} : { 'kms:KeyUsage': key.usage }),
          ...prefixed('aws:ResourceTag/', key?.tags ?? {}),
        },
      },
    ];
  }

  /** Learns the key that CreateKey has made. */
  learn(input: Input, answer: Input): void {
    const arn = textOf(recordOf(answer['KeyMetadata'])['Arn']);
    if (arn !== undefined) this.#keys.set(arn, { usage: usageOf(input), tags: tagsOf(input) });
  }
}

/** Who makes a key with tags is asked for both. */
function asksToMake(input: Input): IamRequest[] {
  const tags = tagsOf(input);
  const context = {
    'kms:CallerAccount': localAccountId,
    'kms:KeyUsage': usageOf(input),
    ...prefixed('aws:RequestTag/', tags),
    'aws:TagKeys': Object.keys(tags),
  };
  const made: IamRequest = { action: 'kms:CreateKey', resource: '*', context };
  return Object.keys(tags).length > 0 ? [made, { ...made, action: 'kms:TagResource' }] : [made];
}

function usageOf(input: Input): string {
  return textOf(input['KeyUsage']) ?? 'ENCRYPT_DECRYPT';
}

function tagsOf(input: Input): Record<string, string> {
  return Object.fromEntries(
    recordsOf(input['Tags']).map((tag) => [textOf(tag['TagKey']) ?? '', textOf(tag['TagValue']) ?? '']),
  );
}

function prefixed(prefix: string, values: Input): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const word = textOf(value);
      return word === undefined ? [] : [[prefix + name, word] as const];
    }),
  );
}

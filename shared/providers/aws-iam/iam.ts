import * as z from 'zod';
import { toInstant, type Instant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { isAwsError, type AwsReach, type CallOptions } from '../../http/aws.ts';
import type { KeyKind } from './kinds.ts';
import type { AccessKey, Tag } from './marks.ts';
import { elements, fieldsOf, query, queryAll, refusalOf, unescaped } from './query.ts';

const instant = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)))
  .transform((text) => toInstant(Date.parse(text)));
/** In the place of a service or a region that IAM has none of. */
const UNKNOWN = 'N/A';
const status = z.enum(['Active', 'Inactive', 'Expired']);

/** One user as IAM has it, called under Rekey's own role. Refusals are RekeyErrors that name the call and the user. */
export class IamUser {
  readonly #aws: AwsReach;
  readonly name: string;
  /** Which of the user's keys this is about. */
  readonly kind: KeyKind;

  constructor(aws: AwsReach, name: string, kind: KeyKind) {
    this.#aws = aws;
    this.name = name;
    this.kind = kind;
  }

  /** All keys of the user, whoever made them, inactive ones included. @throws RekeyError ERR_NOT_FOUND */
  async keys(): Promise<AccessKey[]> {
    const { calls, id, of } = this.kind;
    return this.#list(
      calls.list,
      (page) =>
        elements(page, 'member').map((member) => {
          const { [id]: keyId = '' } = fieldsOf(member, { [id]: z.string().min(1) });
          const { Status, CreateDate } = fieldsOf(member, { Status: status, CreateDate: instant });
          return { id: keyId, active: Status === 'Active', createdAt: CreateDate };
        }),
      of,
    );
  }

  /** Tags of the user. @throws RekeyError ERR_NOT_FOUND */
  async tags(): Promise<Tag[]> {
    return this.#list('ListUserTags', (page) =>
      elements(page, 'member').map((member) => {
        const { Key: key, Value: value } = fieldsOf(member, { Key: z.string(), Value: z.string() });
        return { key, value };
      }),
    );
  }

  /** Names of the user's inline policies. @throws RekeyError ERR_NOT_FOUND */
  async policies(): Promise<string[]> {
    return this.#list('ListUserPolicies', (page) => elements(page, 'member').map(unescaped));
  }

  /**
   * Makes a key. Not repeated unseen: an answer that is lost leaves a key.
   * @throws RekeyError ERR_CAPACITY where the user has two already
   */
  async create(
    parameters: Readonly<Record<string, string>>,
  ): Promise<{ id: string; value: Redacted<string> }> {
    const { calls, made, id, value, of } = this.kind;
    const answer = await this.#call(calls.create, { ...of, ...parameters }, { attempts: 1 });
    const [key = ''] = elements(answer, made);
    const { [id]: newId = '', [value]: secret = '' } = fieldsOf(key, {
      [id]: z.string().min(1),
      [value]: z.string().min(1),
    });
    return { id: newId, value: new Redacted(secret) };
  }

  /** Suspends or restores a key; false where it is gone. */
  async setActive(id: string, active: boolean): Promise<boolean> {
    const parameters = { [this.kind.id]: id, Status: active ? 'Active' : 'Inactive' };
    return this.#unlessGone(this.kind.calls.update, parameters);
  }

  /** Deletes a key; one that is gone is success. */
  async remove(id: string): Promise<void> {
    await this.#unlessGone(this.kind.calls.remove, { [this.kind.id]: id });
  }

  /** When a key was last used; null where IAM knows of no use. */
  async lastUsed(id: string): Promise<Instant | null> {
    return (await this.lastUse(id))?.at ?? null;
  }

  /** The last use of a key, and for which service in which region; undefined where IAM knows of no use. */
  async lastUse(id: string): Promise<{ at: Instant; scope?: string } | undefined> {
    const answer = await this.#call('GetAccessKeyLastUsed', { AccessKeyId: id });
    const used = fieldsOf(answer, {
      LastUsedDate: instant.optional(),
      ServiceName: z.string().optional(),
      Region: z.string().optional(),
    });
    if (used.LastUsedDate === undefined) return undefined;
    const where = [used.ServiceName, used.Region].filter((word) => word !== undefined && word !== UNKNOWN);
    return { at: used.LastUsedDate, ...(where.length === 0 ? {} : { scope: where.join(' in ') }) };
  }

  /** Sets tags of the user, all or none. */
  async tag(tags: readonly Tag[]): Promise<void> {
    const parameters: Record<string, string> = {};
    tags.forEach(({ key, value }, index) => {
      parameters[`Tags.member.${index + 1}.Key`] = key;
      parameters[`Tags.member.${index + 1}.Value`] = value;
    });
    await this.#call('TagUser', parameters);
  }

  /** Takes tags off; those that aren't there are no matter. */
  async untag(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const parameters = keys.map((key, index): [string, string] => [`TagKeys.member.${index + 1}`, key]);
    await this.#unlessGone('UntagUser', Object.fromEntries(parameters));
  }

  /** Writes an inline policy of the user; false where the user is gone. */
  async putPolicy(name: string, document: object): Promise<boolean> {
    const parameters = { PolicyName: name, PolicyDocument: JSON.stringify(document) };
    return this.#unlessGone('PutUserPolicy', parameters);
  }

  /** Deletes an inline policy of the user; one that is gone is success. */
  async removePolicy(name: string): Promise<void> {
    await this.#unlessGone('DeleteUserPolicy', { PolicyName: name });
  }

  async #call(action: string, parameters: Record<string, string>, options?: CallOptions): Promise<string> {
    try {
      const of = { ...(action === 'GetAccessKeyLastUsed' ? {} : { UserName: this.name }), ...parameters };
      return await query(this.#aws, { service: 'iam', action, parameters: of }, options);
    } catch (error) {
      throw refusalOf(error, action, this.name);
    }
  }

  async #list<T>(
    action: string,
    read: (page: string) => readonly T[],
    of: Readonly<Record<string, string>> = {},
  ): Promise<T[]> {
    try {
      const parameters = { UserName: this.name, ...of };
      return await queryAll(this.#aws, { service: 'iam', action, parameters }, read);
    } catch (error) {
      throw refusalOf(error, action, this.name);
    }
  }

  /** False where the user, or what of it is meant, is gone. */
  async #unlessGone(action: string, parameters: Record<string, string>): Promise<boolean> {
    const done = await orGone(this.#call(action, parameters));
    return done !== undefined;
  }
}

/** What was asked for; undefined where it is gone. */
export async function orGone<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (isRekeyError(error, 'ERR_NOT_FOUND')) return undefined;
    throw error;
  }
}

const callerSchema = { Arn: z.string().min(1), Account: z.string().min(1) };

/**
 * Who a key belongs to, asked with the key itself; every key may, whatever its policies say.
 * @throws RekeyError ERR_REJECTED where AWS doesn't take the key, ERR_UNAVAILABLE
 */
export async function callerOf(
  aws: AwsReach,
  { accessKeyId, secretAccessKey }: { readonly accessKeyId: string; readonly secretAccessKey: string },
): Promise<{ arn: string; account: string }> {
  try {
    const operation = { service: 'sts', action: 'GetCallerIdentity' } as const;
    const answer = await query(aws, operation, { credentials: { accessKeyId, secretAccessKey } });
    const { Arn: arn, Account: account } = fieldsOf(answer, callerSchema);
    return { arn, account };
  } catch (error) {
    if (isRekeyError(error)) throw error;
    if (isAwsError(error, 'InvalidClientTokenId', 'SignatureDoesNotMatch', 'AccessDenied', 'ExpiredToken')) {
      throw new RekeyError(
        'ERR_REJECTED',
        `AWS does not take the access key ${accessKeyId} (${error.name})`,
        {
          remedy: 'the key is inactive, deleted or not the one that belongs to this id',
          cause: error,
        },
      );
    }
    throw new RekeyError('ERR_UNAVAILABLE', 'AWS does not say whose the access key is', {
      remedy: 'it is tried again; look at the clock of whoever asks if this goes on',
      cause: error,
    });
  }
}

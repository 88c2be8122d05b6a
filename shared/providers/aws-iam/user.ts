import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { AwsReach } from '../../http/aws.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import { IamUser, orGone } from './iam.ts';
import { ACCESS_KEYS, type KeyKind } from './kinds.ts';
import { ownKeys, readMarks, tagOf, type AccessKey, type Marks, type OwnKey } from './marks.ts';
import type { IamTarget } from './target.ts';

/** The keys of a user, and which of them are Rekey's own. */
interface Keys {
  readonly keys: readonly AccessKey[];
  readonly marks: Marks;
  readonly own: readonly OwnKey[];
  readonly unclear: readonly AccessKey[];
}

/** The target's user, under the role of the function. */
export function userOf(
  { user }: Pick<IamTarget, 'user'>,
  ctx: ProviderContext,
  kind: KeyKind = ACCESS_KEYS,
): IamUser {
  return new IamUser(awsOf(ctx), user, kind);
}

/** The way to call AWS. @throws RekeyError ERR_UNAVAILABLE */
export function awsOf({ reach }: ProviderContext): AwsReach {
  if (reach.aws !== undefined) return reach.aws;
  throw new RekeyError('ERR_UNAVAILABLE', 'this function was made without a way to call AWS', {
    remedy: 'deploy the stack again',
  });
}

/** The keys of the user and what its tags say of them. */
export async function look(user: IamUser): Promise<Keys> {
  const [keys, tags] = await Promise.all([user.keys(), user.tags()]);
  const marks = readMarks(tags, user.kind.tags);
  return { keys, marks, ...ownKeys(keys, marks) };
}

/**
 * Ends a key for good, and takes its mark off, or the intent where it had none: what comes later isn't of that intent. One
 * that is gone is success.
 */
export async function endKey(user: IamUser, { id, token }: CredentialHandle): Promise<void> {
  await user.setActive(id, false);
  await user.remove(id);
  const { tags } = user.kind;
  const { byKey, intent } = readMarks((await orGone(user.tags())) ?? [], tags);
  await user.untag([tagOf(tags, id), ...(intent?.token === token && !byKey.has(id) ? [tags.intent] : [])]);
}

/** The steps that are the same for all keys of a user. `T` is the target of their provider. */
type Steps<T> = Required<
  Pick<CredentialProvider<T, unknown>, 'needsAdmin' | 'survey' | 'deactivation' | 'list' | 'suspension'>
>;

/** The keys of one sort that targets' users have. `identity` as in the provider contract. */
export function userKeys<T extends Pick<IamTarget, 'user'>>(
  kind: KeyKind,
  identity: (target: T) => string,
): {
  readonly steps: Steps<T>;
  of(target: T, ctx: ProviderContext): IamUser;
  isActive(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<boolean>;
} {
  const of = (target: T, ctx: ProviderContext): IamUser => userOf(target, ctx, kind);

  return {
    of,
    isActive: async (target, { id }, ctx) =>
      (await of(target, ctx).keys()).some((key) => key.id === id && key.active),

    steps: {
      needsAdmin: false,

      async deactivation(target, { id }, ctx) {
        const found = (await orGone(of(target, ctx).keys()))?.find((key) => key.id === id);
        return {
          confirmed: found?.active !== true,
          method: 'status-read',
          observedAt: toInstant(ctx.clock()),
          detail: found === undefined ? `${id} is gone` : `${id} is ${found.active ? 'active' : 'inactive'}`,
        };
      },

      async list(target, ctx) {
        const { own } = (await orGone(look(of(target, ctx)))) ?? { own: [] };
        return own.filter(({ key }) => key.active).map(({ handle }) => handle);
      },

      async survey(target, ctx) {
        const keys = await of(target, ctx).keys();
        return { owner: identity(target), credentials: keys.map(({ id, createdAt }) => ({ id, createdAt })) };
      },

      suspension: {
        /** Of something that is gone there is nothing to suspend. */
        async suspend(target, { id }, ctx) {
          await of(target, ctx).setActive(id, false);
        },
        async restore(target, { id }, ctx) {
          if (await of(target, ctx).setActive(id, true)) return;
          throw new RekeyError('ERR_POINT_OF_NO_RETURN', `${id} can't be restored: it is deleted`, {
            remedy: 'start a rotation; another key takes its place',
          });
        },
      },
    },
  };
}

import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { AwsReach } from '../../http/aws.ts';
import type { ProviderContext } from '../provider.ts';
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

/** What IAM shows now of a key. */
export async function deactivation(
  user: IamUser,
  id: string,
  { clock }: ProviderContext,
): Promise<Deactivation> {
  const found = (await orGone(user.keys()))?.find((key) => key.id === id);
  return {
    confirmed: found?.active !== true,
    method: 'status-read',
    observedAt: toInstant(clock()),
    detail: found === undefined ? `${id} is gone` : `${id} is ${found.active ? 'active' : 'inactive'}`,
  };
}

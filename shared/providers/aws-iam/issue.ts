import { CAPABILITIES } from '../../domain/capabilities.ts';
import { toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { Issued, IssueContext } from '../provider.ts';
import type { IamUser } from './iam.ts';
import { assertToken, INTENT, intentTag, markTag, NO_INTENT, spentTags, type AccessKey } from './marks.ts';
import type { IamMaterial } from './material.ts';
import type { IamTarget } from './target.ts';
import { endKey, look, userOf } from './user.ts';

const { maxLive } = CAPABILITIES['cloud-key/aws-iam'].overlap;

/**
 * Makes a key between two tags: the intent before, with the keys that there are, and the mark after, with the id of the new
 * one. Whoever comes after a crash finds by them what was made, and ends it: its value is lost, and nobody has it.
 */
export async function issue(
  target: IamTarget,
  token: string,
  ctx: IssueContext,
): Promise<Issued<IamMaterial>> {
  assertToken(token);
  const user = userOf(target, ctx);
  const { generation } = ctx;
  const left = await makeRoom(user, token, generation);
  const intent = { generation, token, at: toInstant(ctx.clock()), keys: left.map(({ id }) => id) };
  await user.tag([intentTag(intent)]);
  const { id, value } = await create(user);
  await user.tag([markTag(id, { generation, token }), NO_INTENT]);
  return {
    handle: { id, generation, token },
    material: value.map((secretAccessKey) => ({ user: target.user, accessKeyId: id, secretAccessKey })),
  };
}

/** Ends what an interrupted attempt has left, and nothing else. Answers with the keys that stay. */
async function makeRoom(user: IamUser, token: string, generation: number): Promise<AccessKey[]> {
  const { keys, marks, own, unclear } = await look(user);
  if (unclear.length > 0) {
    // Given up for good: once one of the two is deleted, the other must not be taken for Rekey's.
    await user.untag([INTENT]);
    throw eitherOf(user, unclear);
  }
  const isLost = ({ handle, marked }: (typeof own)[number]): boolean => !marked || handle.token === token;
  const live = own.filter((each) => !isLost(each));
  if (live.some(({ handle }) => handle.generation >= generation)) {
    throw new RekeyError(
      'ERR_CONFLICT',
      `a key of the user ${user.name} has generation ${generation} or a later one`,
      {
        remedy: 'count on from a higher one',
      },
    );
  }
  for (const { handle } of own.filter(isLost)) await endKey(user, handle);
  if (live.length >= maxLive)
    throw notRetired(
      user,
      live.map(({ key }) => key),
    );
  const left = keys.filter(({ id }) => !own.some((each) => each.key.id === id && isLost(each)));
  await user.untag(spentTags(left, marks, generation));
  return left;
}

/**
 * The new key. Where IAM refuses it, there is none, and the intent goes. Where it has no room, what is in the way is named:
 * none of it is Rekey's to delete.
 */
async function create(user: IamUser): Promise<{ id: string; value: Redacted<string> }> {
  try {
    return await user.create();
  } catch (error) {
    // Without an answer nobody knows.
    if (isRekeyError(error, 'ERR_UNAVAILABLE')) throw error;
    const { keys, marks, own } = await look(user);
    if (own.some(({ marked }) => !marked)) {
      throw new RekeyError('ERR_UNAVAILABLE', 'the key of an earlier attempt has come to be there only now', {
        remedy: 'it is tried again, and that key ended before',
        cause: error,
      });
    }
    await user.untag([INTENT]);
    if (!isRekeyError(error, 'ERR_CAPACITY')) throw error;
    throw foreign(
      user,
      keys.filter(({ id }) => !marks.byKey.has(id)),
    );
  }
}

function foreign({ name }: IamUser, keys: readonly AccessKey[]): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `the user ${name} has two access keys, of which Rekey has not made ${inWords(keys)}`,
    { field: 'target.user', remedy: 'move who uses it to the secret, then delete it: Rekey never does' },
  );
}

function notRetired({ name }: IamUser, keys: readonly AccessKey[]): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `the user ${name} has two keys of this credential: ${inWords(keys)}`,
    {
      field: 'target.user',
      remedy: 'the former one has to be retired first: rekey show tells why it still lives',
    },
  );
}

function eitherOf({ name }: IamUser, keys: readonly AccessKey[]): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `an attempt to make a key for ${name} was interrupted, and its key may be any of ${inWords(keys)}`,
    {
      field: 'target.user',
      remedy: 'delete the one that nobody uses: Rekey deletes none that may be somebody’s',
    },
  );
}

function inWords(keys: readonly AccessKey[]): string {
  return keys.map(({ id, createdAt }) => `${id} (made ${createdAt})`).join(', ');
}

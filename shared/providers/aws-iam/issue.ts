import { toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { IssueContext } from '../provider.ts';
import type { IamUser } from './iam.ts';
import { assertToken, intentTag, markTag, noIntent, spentTags, type AccessKey } from './marks.ts';
import { endKey, look } from './user.ts';

/**
 * Makes a key between two tags: the intent before, with the keys that there are, and the mark after, with the id of the new
 * one. Whoever comes after a crash finds by them what was made, and ends it: its value is lost, and nobody has it.
 * `parameters` are what its creation says beside.
 */
export async function issueKey(
  user: IamUser,
  token: string,
  { generation, clock }: IssueContext,
  parameters: Readonly<Record<string, string>> = {},
): Promise<{ readonly handle: CredentialHandle; readonly value: Redacted<string> }> {
  assertToken(token);
  const { tags } = user.kind;
  const left = await makeRoom(user, token, generation);
  const intent = { generation, token, at: toInstant(clock()), keys: left.map(({ id }) => id) };
  await user.tag([intentTag(tags, intent)]);
  const { id, value } = await create(user, parameters);
  await user.tag([markTag(tags, id, { generation, token }), noIntent(tags)]);
  return { handle: { id, generation, token }, value };
}

/** Ends what an interrupted attempt has left, and nothing else. Answers with the keys that stay. */
async function makeRoom(user: IamUser, token: string, generation: number): Promise<AccessKey[]> {
  const { keys, marks, own, unclear } = await look(user);
  if (unclear.length > 0) {
    // Given up for good: once one of the two is deleted, the other must not be taken for Rekey's.
    await user.untag([user.kind.tags.intent]);
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
  if (live.length >= user.kind.maxLive)
    throw notRetired(
      user,
      live.map(({ key }) => key),
    );
  const left = keys.filter(({ id }) => !own.some((each) => each.key.id === id && isLost(each)));
  await user.untag(spentTags(left, marks, generation, user.kind.tags));
  return left;
}

/**
 * The new key. Where IAM refuses it, there is none, and the intent goes. Where it has no room, what is in the way is named:
 * none of it is Rekey's to delete.
 */
async function create(
  user: IamUser,
  parameters: Readonly<Record<string, string>>,
): Promise<{ id: string; value: Redacted<string> }> {
  try {
    return await user.create(parameters);
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
    await user.untag([user.kind.tags.intent]);
    if (!isRekeyError(error, 'ERR_CAPACITY')) throw error;
    throw foreign(
      user,
      keys.filter(({ id }) => !marks.byKey.has(id)),
    );
  }
}

function foreign({ name, kind }: IamUser, keys: readonly AccessKey[]): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `the user ${name} has two ${kind.plural}, of which Rekey has not made ${inWords(keys)}`,
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

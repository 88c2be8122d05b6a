import { RekeyError } from '../../domain/errors.ts';
import type { Adoption } from '../provider.ts';
import { orGone } from './iam.ts';
import { ACCESS_KEY_TAGS, assertToken, markTag, readMarks, tagOf } from './marks.ts';
import { assertBelongs, type IamMaterial } from './material.ts';
import type { IamTarget } from './target.ts';
import { look, userOf } from './user.ts';

/** Taking over a key that exists: its id is in the secret, so that it needs no change but a tag of its user. */
export const adoption: Adoption<IamTarget, IamMaterial> = {
  async identify(target, material, ctx) {
    assertBelongs(target, undefined, material);
    const { accessKeyId } = material.reveal();
    const keys = await userOf(target, ctx).keys();
    if (keys.some(({ id }) => id === accessKeyId)) return accessKeyId;
    throw new RekeyError('ERR_ADOPTION', `${accessKeyId} is no access key of the user ${target.user}`, {
      field: 'target.user',
      remedy: accessKeyId.startsWith('ASIA')
        ? 'it is of a session, which ends by itself: put an access key of the user into the secret'
        : `aws iam get-access-key-last-used --access-key-id ${accessKeyId} tells whose it is`,
    });
  },

  async dependencies(target, ctx) {
    const keys = await userOf(target, ctx).keys();
    if (keys.length < 2) return [];
    return [
      {
        what: `two access keys of the user ${target.user}`,
        severity: 'blocks',
        detail: `a rotation needs room for a second one: ${keys.map(({ id }) => id).join(', ')}`,
        remedy: 'move who uses the key that is not in the secret, then delete that one',
      },
    ];
  },

  async adopt(target, token, { handle, material }, ctx) {
    assertToken(token);
    assertBelongs(target, handle.id, material);
    const user = userOf(target, ctx);
    const { keys, marks } = await look(user);
    const key = keys.find(({ id }) => id === handle.id);
    if (key?.active !== true) {
      throw new RekeyError('ERR_REJECTED', `the access key ${handle.id} is inactive or gone`, {
        remedy: 'find out who ended it; an emergency may have',
      });
    }
    const mark = marks.byKey.get(handle.id);
    if (mark?.token === token && mark.generation === handle.generation) return handle;
    if (mark !== undefined && mark.generation >= handle.generation) {
      // Of an earlier life of this credential: whoever counts on from a higher number gets it.
      throw new RekeyError('ERR_CONFLICT', `${handle.id} already has generation ${mark.generation}`, {
        remedy: 'adopt it with a higher generation',
      });
    }
    await user.tag([markTag(ACCESS_KEY_TAGS, handle.id, { generation: handle.generation, token })]);
    return handle;
  },

  async release(target, token, handle, ctx) {
    const user = userOf(target, ctx);
    const mark = readMarks((await orGone(user.tags())) ?? []).byKey.get(handle.id);
    if (mark?.token === token && mark.generation === handle.generation)
      await user.untag([tagOf(ACCESS_KEY_TAGS, handle.id)]);
  },
};

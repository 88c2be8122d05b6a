import { describe, expect, it } from 'vitest';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { stepFor } from '../../../shared/engine/staged.ts';
import { credentialOf, ID, NOW, ROTATION_ID, rotationOf } from '../api/fakes.ts';

/** The present value of `credentialOf` is of version ID, and the old one of `rotationOf` is that as well. */
const step = (
  changes: Partial<Credential>,
  rotation?: Rotation,
  versions: readonly string[] = [ID],
): ReturnType<typeof stepFor> => stepFor({ credential: credentialOf(changes), rotation, versions }, NOW);
const moved = { current: { ...rotationOf().next!, versionId: ROTATION_ID } };

describe('what is to be done so that a value dies', () => {
  it('is a rotation, where none is under way', () => {
    expect(step({})).toEqual({ act: 'start' });
  });

  it.each<[string, Partial<Credential>, Rotation]>([
    [
      'announced',
      {},
      rotationOf({ phase: 'announced', next: undefined as never, window: undefined as never }),
    ],
    ['in its steps', {}, rotationOf({ phase: 'activating' })],
    ['in its window', moved, rotationOf()],
    ['revoking', moved, rotationOf({ phase: 'revoking' })],
  ])('is nothing more, where a rotation that is %s ends it', (_what, changes, rotation) => {
    expect(step(changes, rotation)).toEqual({ act: 'joined', rotation: ROTATION_ID });
  });

  it('is the same order again, where the rotation under way ends another value', () => {
    expect(step(moved, rotationOf(), [ROTATION_ID, ID])).toMatchObject({
      act: 'refused',
      text: expect.stringContaining('is under way'),
      remedy: expect.stringContaining('wait until its window closes'),
    });
    expect(step({}, rotationOf({ phase: 'rolling-back', loser: 'next' }))).toMatchObject({ act: 'refused' });
  });

  it('is to unpause, or to end an emergency, where that is in the way', () => {
    const paused = { since: 'then', actor: 'arn:b', reason: 'freeze' };
    expect(step({ paused })).toMatchObject({
      act: 'refused',
      remedy: expect.stringContaining('rekey unpause'),
    });
    expect(step({ status: 'halted' })).toMatchObject({ act: 'refused', text: 'orders-db is halted' });
  });

  it('is a person’s, where Rekey only looks, a person replaces it, or mode overlap has kept it', () => {
    expect(step({ mode: 'observe', byHand: 'ALTER ROLE …' })).toMatchObject({
      act: 'by-hand',
      remedy: 'ALTER ROLE …',
    });
    expect(step({ mode: 'observe', type: 'root', provider: 'by-hand' })).toMatchObject({
      act: 'by-hand',
      remedy: expect.stringContaining('rekey confirm orders-db'),
    });
    expect(step({ mode: 'overlap' }, undefined, ['kept'])).toMatchObject({
      act: 'by-hand',
      remedy: expect.stringContaining('rekey revoke orders-db'),
    });
  });
});

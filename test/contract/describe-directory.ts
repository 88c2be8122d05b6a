import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { emptySet, type DirectorySet } from '../../shared/domain/directory.ts';
import type { Directory } from '../../shared/ports/directory.ts';

/** What every directory does, in memory and in DynamoDB. */
export function describeDirectory(name: string, make: () => Directory): void {
  describe(`${name} is a directory`, () => {
    const fresh = (): DirectorySet =>
      emptySet({ kind: 'jwks', name: randomUUID() }, { cacheSeconds: 60, skewSeconds: 5 });

    it('gives back what was written, and nothing where nothing was', async () => {
      const directory = make();
      const set = fresh();
      expect(await directory.read(set)).toBeUndefined();
      const written = await directory.write({ ...set, generation: 3 });
      expect(written).toEqual({ ...set, generation: 3, version: 1 });
      expect(await directory.read(set)).toEqual(written);
      expect(await directory.read({ ...set, kind: 'tokens' })).toBeUndefined();
    });

    it('takes one of two writes on the same version, and one of two first ones', async () => {
      const directory = make();
      const set = fresh();
      for (let round = 0; round < 2; round++) {
        const read = (await directory.read(set)) ?? set;
        const outcomes = await Promise.allSettled(
          [1, 2, 3].map(async (generation) => directory.write({ ...read, generation })),
        );
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ERR_CONFLICT' });
        expect((await directory.read(set))?.version).toBe(round + 1);
      }
    });

    it('keeps and drops sealed parts with the write that they belong to, or not at all', async () => {
      const directory = make();
      const set = fresh();
      const parts = ['a', 'b'].map((id) => ({ id, text: `sealed ${id}` }));
      const one = await directory.write(set, { keep: parts });
      await expect(directory.write(set, { keep: [{ id: 'a', text: 'other' }] })).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
      });
      await expect(directory.write(set, { drop: ['a'] })).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
      expect(await directory.sealed(set, 'a')).toBe('sealed a');
      await directory.write(one, { drop: ['a', 'never-there'] });
      expect([await directory.sealed(set, 'a'), await directory.sealed(set, 'b')]).toEqual([
        undefined,
        'sealed b',
      ]);
    });
  });
}

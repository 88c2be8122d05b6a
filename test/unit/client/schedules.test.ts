import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FakeUpstream, sourceCase } from '../../support/client.ts';

/** One rotation, with the seconds that pass after each of its steps. */
interface Rotation {
  readonly users: 'one' | 'two';
  readonly end: 'finished' | 'finished before the upstream follows' | 'aborted' | 'rolled back';
  readonly waits: readonly number[];
}

const rotation: fc.Arbitrary<Rotation> = fc.record({
  users: fc.constantFrom('one', 'two'),
  end: fc.constantFrom('finished', 'finished before the upstream follows', 'aborted', 'rolled back'),
  waits: fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(300)), { minLength: 4, maxLength: 4 }),
});

it('no schedule of rotations loses a call, and what was given up is not presented again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rotation, { minLength: 1, maxLength: 8 }), async (rotations) => {
      const { vault, time, source } = await sourceCase();
      const upstream = new FakeUpstream('one');
      const call = async (): Promise<string> =>
        source.use(async (credential) => upstream.call(credential.reveal()));
      const dead = new Set<string>();
      let current = { versionId: 'v1', value: 'one' };
      for (const [turn, { users, end, waits }] of rotations.entries()) {
        const value = `value ${turn}`;
        const versionId = vault.put(value, 'AWSPENDING');
        const activate = (): void => {
          if (users === 'one') upstream.live.clear();
          upstream.live.add(value);
        };
        const giveUp = (): void => {
          upstream.live.clear();
          upstream.live.add(current.value);
          vault.strip('AWSPENDING');
        };
        const finish = (): void => vault.promote(versionId);
        const steps: Readonly<Record<Rotation['end'], readonly (() => void)[]>> = {
          finished: [activate, finish],
          'finished before the upstream follows': [finish, activate],
          aborted: [activate, giveUp],
          // As the engine does it: the old one works before the label moves back.
          'rolled back': [activate, finish, giveUp, () => vault.promote(current.versionId)],
        };
        for (const [at, step] of steps[end].entries()) {
          step();
          expect(await call()).toContain('done');
          await time.pass(waits[at] ?? 0);
          expect(await call()).toContain('done');
        }
        if (end === 'aborted' || end === 'rolled back') dead.add(value);
        else {
          current = { versionId, value };
          vault.strip('AWSPENDING');
          upstream.live.clear();
          upstream.live.add(value);
        }
        // Whoever was under way has ended; the label has been read again.
        await time.pass(101);
        expect(await call()).toContain('done');
        upstream.seen.length = 0;
        await call();
        expect(upstream.seen.filter((seen) => dead.has(seen))).toEqual([]);
      }
      await source[Symbol.asyncDispose]();
    }),
    { numRuns: 150 },
  );
});

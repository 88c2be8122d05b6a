import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../shared/domain/errors.ts';
import { weighSuspicions } from '../../shared/engine/anomalies/weigh.ts';
import { reasonsTold, weighing } from '../support/weighing.ts';

describe('what is unusual', () => {
  it('is told once where the process dies after the record', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    await suspect();
    const dying = {
      suspicions: () => baselines.suspicions(),
      weighed: () => Promise.reject(new Error('killed')),
    };
    await expect(weighSuspicions({ ...deps, baselines: dying })).rejects.toThrow('killed');
    expect(await weighSuspicions(deps)).toMatchObject({ told: 1, waiting: 0 });
    expect([world.records, baselines.waiting.size]).toEqual([['anomaly-seen'], 0]);
  });

  it.each([['an hour'], ['a day']])(
    'is told once where the process dies after the record and weighs again %s later, with what has come since',
    async (later) => {
      const { world, deps, suspect, baselines } = await weighing();
      await suspect();
      await suspect({ rule: 'hour', what: '03', text: 'at 03 h UTC' });
      const dying = {
        suspicions: () => baselines.suspicions(),
        weighed: () => Promise.reject(new Error('killed')),
      };
      await expect(weighSuspicions({ ...deps, baselines: dying })).rejects.toThrow('killed');
      world.now += later === 'a day' ? 86_400_000 : 3_600_000;
      await suspect({ rule: 'volume', what: 'today', text: 'too often' });
      expect(await weighSuspicions(deps)).toMatchObject({ told: 3, waiting: 0 });
      expect([reasonsTold(world), baselines.waiting.size]).toEqual([[['network', 'hour'], ['volume']], 0]);
    },
  );

  it('is told again where the same comes a week later', async () => {
    const { world, deps, suspect, baselines } = await weighing();
    await suspect();
    await weighSuspicions(deps);
    world.now += 8 * 86_400_000;
    baselines.told.clear();
    await suspect();
    await weighSuspicions(deps);
    expect(world.records).toEqual(['anomaly-seen', 'anomaly-seen']);
  });

  it('is told although a rotation can not begin for now, once, and is rotated as soon as it can be', async () => {
    const { world, deps, suspect, baselines } = await weighing({}, { unusual: 'rotate' });
    world.refuseRotations = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    await suspect();
    for (let run = 0; run < 3; run++) {
      await expect(weighSuspicions(deps)).rejects.toBe(world.refuseRotations);
      world.now += 5 * 60_000;
    }
    expect([reasonsTold(world), world.rotations, baselines.waiting.size]).toEqual([[['network']], [], 1]);
    world.refuseRotations = undefined;
    expect(await weighSuspicions(deps)).toMatchObject({ told: 1 });
    expect([reasonsTold(world), world.rotations.length, baselines.waiting.size]).toEqual([
      [['network']],
      1,
      0,
    ]);
  });

  it('that is new is told although what was told before can not be rotated for hours, each reason once', async () => {
    const { world, deps, suspect, baselines } = await weighing({}, { unusual: 'rotate' });
    world.refuseRotations = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    for (let hour = 0; hour < 3; hour++) {
      await suspect({ what: `10.0.${hour}.0/24` });
      for (let run = 0; run < 12; run++) {
        await expect(weighSuspicions(deps)).rejects.toBe(world.refuseRotations);
        world.now += 5 * 60_000;
      }
    }
    expect(reasonsTold(world)).toEqual([['network'], ['network'], ['network']]);
    world.refuseRotations = undefined;
    await weighSuspicions(deps);
    expect([world.records.length, world.rotations.length, baselines.waiting.size]).toEqual([3, 1, 0]);
  });
});

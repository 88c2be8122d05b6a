import { expect, test } from 'vitest';
import { Guide } from '../support/guide.ts';
import { bashAt } from './bash.ts';
import type { Leading } from './identities-under-load.ts';
import { nameOf, playedAs } from './upstreams/played.ts';

/** The way round the control API: docs/runbook.md has it for the day on which that doesn't answer. */
export function testEmergencyByHand(given: () => Pick<Leading, 'world' | 'upstreams' | 'read'>): void {
  test.for([
    ['the tags of its secret', (block: string) => block],
    // They stay for Rekey itself, whose roles go by them: here they are gone for whoever types.
    [
      'its snapshot, where the tags are gone',
      (block: string) => block.replace(/^tag\(\) .*$/m, 'tag() { echo None; }'),
    ],
    [
      'the tag of its id, where that of its type is gone',
      (block: string) => block.replace('type=$(tag type)', 'type=None'),
    ],
  ] as const)(
    'an emergency that is started by hand, as the runbook says it, finds the key by %s, ends it and replaces it',
    async ([, typed]) => {
      const { world, upstreams, read } = given();
      const one = playedAs('llm-key/openai', upstreams);
      const leaked = await read(one);
      expect(await one.takes(leaked)).toBe(true);
      const [start = '', follow = ''] = await Guide.shellOf('runbook.md', 'Api errors');
      const filled = start
        .replace("stage='…'", "stage='local'")
        .replace("secret='…'", `secret='agents/${nameOf(one)}'`);
      const bash = await bashAt(world);
      const { stdout: execution } = await bash(typed(filled), 60_000);
      const followed = async (): Promise<unknown> =>
        JSON.parse((await bash(`execution='${execution.trim()}'\n${follow}`, 60_000)).stdout);
      await expect
        .poll(followed, { timeout: 120_000, interval: 1000 })
        .toMatchObject({ status: 'SUCCEEDED' });
      const works = [await one.takes(leaked), await one.takes(await read(one))];
      expect([...works, await one.live()]).toEqual([false, true, 1]);
    },
  );
}

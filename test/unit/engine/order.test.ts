import { describe, expect, it } from 'vitest';
import { nextStart } from '../../../shared/domain/calendar.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { goesAfter } from '../../../shared/domain/order.ts';
import { orderOf } from '../../../shared/engine/order.ts';
import { credentialOf } from '../api/fakes.ts';

/** Why each of these waits once all are due; each is administered by the next one in the list, as far as there is one. */
async function whyWaiting(
  ids: readonly string[],
  admins: readonly (string | undefined)[],
  changes: Partial<Credential> = {},
): Promise<(string | undefined)[]> {
  const all = ids.map((id, index) => {
    const admin = admins[index];
    return credentialOf({
      id,
      name: id,
      secretName: `secret/${id}`,
      holders: [],
      ...(admin === undefined ? {} : { adminSecret: `secret/${admin}` }),
      ...(index === 0 ? changes : {}),
    });
  });
  const ledger = {
    idBySecret: async (secret: string) =>
      Promise.resolve(all.find(({ secretName }) => secretName === secret)?.id),
    credential: async (id: string) => Promise.resolve(all.find((each) => each.id === id)),
    rotation: async () => Promise.resolve(undefined),
    unfinished: async () =>
      Promise.resolve(
        all.flatMap(({ id, activeRotation: rotationId }) =>
          rotationId === undefined ? [] : [{ credentialId: id, rotationId }],
        ),
      ),
  };
  const starts = Math.max(...all.map((each) => Date.parse(nextStart(each) ?? '')));
  // The rule looks up heads and the time; the engine's other parts have no say in it.
  const deps = { ledger, clock: () => starts } as unknown as EngineDeps;
  return Promise.all(all.map(async (each) => goesAfter(each, (await orderOf(deps, each)).obstacles, starts)));
}

describe('the order of administrative logins', () => {
  it('is from the master down', async () => {
    const [dependant, master] = await whyWaiting(['a', 'b'], ['b', undefined]);
    expect(dependant).toBe('its administrative login b is due, and goes first');
    expect(master).toBeUndefined();
  });

  it.each([
    ['two', ['a', 'b'], ['b', 'a']],
    ['three', ['a', 'b', 'c'], ['b', 'c', 'a']],
  ])(
    'is none between %s that rotate each other: they do not wait for each other without end',
    async (_n, ids, admins) => {
      expect(await whyWaiting(ids, admins)).toEqual(ids.map(() => undefined));
      // One at a time all the same.
      const waiting = await whyWaiting(ids, admins, { activeRotation: 'r' });
      expect(waiting.at(-1)).toBe('its administrative login a is being rotated');
    },
  );
});

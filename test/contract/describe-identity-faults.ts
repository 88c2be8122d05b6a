import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHeld, type DirectorySet } from '../../shared/domain/directory.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { IdentityTarget } from '../../shared/providers/identity/target.ts';
import type { Issued, ProviderContext } from '../../shared/providers/provider.ts';
import type { DirectoryFault } from '../support/directory.ts';
import { identityHarness, type IdentityCase } from './identity-harness.ts';

const FIRST = '00000000-0000-4000-8000-00000000000a';
const SECOND = '00000000-0000-4000-8000-00000000000b';

/** A credential at some point of its life. */
interface Scene<T, M> {
  readonly target: T;
  readonly ctx: ProviderContext;
  readonly first: Issued<M>;
  second?: Issued<M>;
}

/**
 * What goes wrong between an identity's steps and the directory: each call of each step never arrives, or its answer never
 * comes. The step fails as something that is worth another try; repeated, it ends as if nothing had happened: one identity
 * under the token, one that comes next, nothing sealed that nobody will ask for.
 */
export function describeIdentityFaults<T extends IdentityTarget, M>(
  name: string,
  its: IdentityCase<T, M>,
): void {
  const { provider } = its;
  const harness = identityHarness(its);

  const issue = async ({ target, ctx, first }: Scene<T, M>): Promise<Issued<M>> =>
    provider.issue(target, SECOND, { ...ctx, generation: 2, current: first.handle });
  const steps: Readonly<Record<string, (scene: Scene<T, M>) => Promise<unknown>>> = {
    issue: async (scene) => (scene.second = await issue(scene)),
    activate: async (scene) => {
      scene.second ??= await issue(scene);
      await provider.activate?.(scene.target, SECOND, scene.second, scene.ctx);
    },
    revoke: async ({ target, first, ctx }) =>
      provider.revoke(target, first.handle, { endSessions: false }, ctx),
    ...(provider.suspension === undefined
      ? {}
      : {
          suspend: async ({ target, first, ctx }) => provider.suspension?.suspend(target, first.handle, ctx),
        }),
  };

  describe(`${name} when the directory goes wrong`, () => {
    beforeAll(async () => harness.start());
    afterAll(async () => harness.stop());

    async function begin(step: string): Promise<Scene<T, M>> {
      const target = await harness.freshTarget();
      const ctx = harness.context(target);
      const first = await provider.issue(target, FIRST, { ...ctx, generation: 1 });
      await provider.activate?.(target, FIRST, first, ctx);
      const scene: Scene<T, M> = { target, ctx, first };
      if (step === 'activate') scene.second = await issue(scene);
      return scene;
    }

    const setOf = ({ name: set }: T): DirectorySet | undefined =>
      harness.served().directory.sets.get(`${its.kind}/${set}`);
    const partsOf = ({ name: set }: T): string[] =>
      [...harness.served().directory.parts.keys()].filter((key) => key.startsWith(`${its.kind}/${set}/`));

    /** The calls of a step where nothing goes wrong. */
    async function callsOf(step: string): Promise<number> {
      const scene = await begin(step);
      harness.served().directory.arm();
      await steps[step]?.(scene);
      return harness.served().directory.calls.length;
    }

    it.each(Object.keys(steps))('%s: fails for the moment, and repeated ends as it should', async (step) => {
      const calls = await callsOf(step);
      expect(calls).toBeGreaterThan(0);
      for (let at = 1; at <= calls; at++) {
        for (const mode of ['before', 'lost'] as const) {
          const scene = await begin(step);
          const fault: DirectoryFault = { at, mode };
          harness.served().directory.arm(fault);
          const failure: unknown = await Promise.resolve(steps[step]?.(scene)).then(
            () => undefined,
            (error: unknown) => error,
          );
          expect(failure, `${step} ${at} ${mode}`).toBeInstanceOf(RekeyError);
          expect(failure).toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
          harness.served().directory.arm();
          await steps[step]?.(scene);
          await steps[step]?.(scene);
          await expectOrder(step, scene);
        }
      }
    });

    async function expectOrder(step: string, { target, first, second }: Scene<T, M>): Promise<void> {
      const entries = setOf(target)?.entries ?? [];
      expect(entries.filter(({ state }) => state === 'next')).toHaveLength(1);
      expect(entries.filter((entry) => isHeld(entry) && entry.token === FIRST)).toHaveLength(
        step === 'revoke' ? 0 : 1,
      );
      expect(entries.filter((entry) => isHeld(entry) && entry.token === SECOND)).toHaveLength(
        second === undefined ? 0 : 1,
      );
      // That of what comes next; that of what was taken until it is handed over.
      expect(partsOf(target)).toHaveLength(step === 'issue' ? 2 : 1);
      const takes = async ({ material }: Issued<M>): Promise<boolean> =>
        its.takes(harness.served().url, target, material.reveal());
      if (second !== undefined) expect(await takes(second)).toBe(true);
      expect(await takes(first)).toBe(step !== 'revoke' && step !== 'suspend');
    }

    it('two that take at once get the same identity, and one comes next', async () => {
      const scene = await begin('issue');
      const [one, other] = await Promise.all([issue(scene), issue(scene)]);
      expect(one.handle).toEqual(other.handle);
      expect(one.material.reveal()).toEqual(other.material.reveal());
      scene.second = one;
      await expectOrder('issue', scene);
    });

    it('waits until every verifier must know what comes next, and not where nobody has anything yet', async () => {
      const target = await harness.freshTarget();
      const start = harness.now() + 10_000_000;
      let now = start;
      const ctx = { ...harness.context(target), clock: () => now };
      const first = await provider.issue(target, FIRST, { ...ctx, generation: 1 });
      await provider.activate?.(target, FIRST, first, ctx);
      const second = { target, ctx, first };
      const known = start + (target.cacheSeconds + target.clockSkewSeconds) * 1000;
      now = known - 1;
      await expect(issue(second)).rejects.toMatchObject({ code: 'ERR_NOT_PROPAGATED', retryable: true });
      now = known;
      await expect(issue(second)).resolves.toMatchObject({ handle: { generation: 2, token: SECOND } });
    });

    it('promotes what comes next at once in an emergency, whoever knows it', async () => {
      const scene = await begin('issue');
      const { target, ctx, first } = scene;
      const next = setOf(target)?.entries.find(({ state }) => state === 'next')?.id;
      await provider.revoke(
        target,
        { ...first.handle, generation: 2 },
        { endSessions: true, compromised: true },
        ctx,
      );
      // A step that was under way has the generation that the emergency has ended.
      await expect(issue(scene)).rejects.toMatchObject({ code: 'ERR_TOMBSTONED' });
      const third = await provider.issue(target, SECOND, { ...ctx, generation: 3 });
      expect(third.handle.id).toBe(next);
    });

    it('never gives anything that is sealed, or who has taken what, to a verifier', async () => {
      const scene = await begin('issue');
      scene.second = await issue(scene);
      const response = await fetch(`${harness.served().url}/${its.kind}/${scene.target.name}`);
      const text = await response.text();
      for (const hidden of [FIRST, SECOND, ...harness.served().directory.parts.values()]) {
        expect(text).not.toContain(hidden);
      }
      for (const { material } of [scene.first, scene.second]) {
        expect(text).not.toContain(provider.secretPart(material).reveal());
      }
      if (its.shown === undefined) expect(text).toContain(scene.first.handle.id);
      else expect(its.shown(text)).toContain(scene.first.handle.id);
    });
  });
}

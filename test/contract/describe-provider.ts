import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CredentialHandle } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { takeNoTimeToWait } from '../support/waits.ts';
import { describeAdoption } from './describe-adoption.ts';
import { failureOf, label, Life, type Live, type ProviderHarness } from './provider-life.ts';

/** The contract that every provider keeps (design: "The provider contract", hard decisions 1, 2, 8 and 9). */
export function describeProvider<T, M>(name: string, harness: ProviderHarness<T, M>): void {
  describe(`${name} keeps the provider contract`, () => {
    const { provider } = harness;
    const dual = provider.overlap.kind === 'dual';
    const createsAtIssue = provider.createsAt !== 'activate';
    const hasSessions = harness.stateless !== true;

    // Sessions at a real server end in real time.
    if (!hasSessions) takeNoTimeToWait();
    beforeAll(async () => harness.start(), 60_000);
    afterAll(async () => harness.stop(), 30_000);

    const begin = async (): Promise<Life<T, M>> => Life.begin(harness);

    it('passes the preflight before anything exists and while a credential is live', async () => {
      const life = await begin();
      const isNotice = { field: expect.any(String), message: expect.any(String), remedy: expect.any(String) };
      for (const notice of await provider.preflight(life.target, life.ctx)) expect(notice).toEqual(isNotice);
      await life.rotate();
      await expect(provider.preflight(life.target, life.ctx)).resolves.toEqual([]);
    });

    it('reads a stored target without the fields of a newer version, and as it wrote it', async () => {
      const { target } = await begin();
      const stored: object = JSON.parse(JSON.stringify(target));
      expect(provider.storedTarget(stored)).toEqual(target);
      expect(provider.storedTarget({ ...stored, ofANewerVersion: { deeply: [1] } })).toEqual(target);
      expect(() => provider.target({ ...stored, ofANewerVersion: 1 })).toThrow(RekeyError);
    });

    it('rotates in full, and the old credential works until it is revoked', async () => {
      const life = await begin();
      const first = await life.rotate();
      const second = await life.rotate(first.handle);
      expect(await life.works(first)).toBe(dual);
      await provider.comparePermissions?.(life.target, first.handle, second.handle, life.ctx);
      await life.retire(first);
      expect([await life.works(first), await life.works(second)]).toEqual([false, true]);
    });

    it('stays in step over six rotations', async () => {
      const life = await begin();
      let current = await life.rotate();
      for (let round = 0; round < 6; round++) {
        const next = await life.rotate(current.handle);
        await life.retire(current);
        expect(await life.works(current)).toBe(false);
        current = next;
      }
      expect(await life.works(current)).toBe(true);
      expect(await life.list([current])).toEqual([label(current.handle)]);
    });

    it('takes each step twice as it takes it once', async () => {
      const life = await begin();
      const first = await life.rotate();
      const second = await life.issue(first.handle);
      for (let twice = 0; twice < 2; twice++) await life.activate(second);
      for (let twice = 0; twice < 2; twice++) await provider.verify(life.target, second.material, life.ctx);
      for (let twice = 0; twice < 2; twice++) await life.retire(first);
      expect([await life.works(first), await life.works(second)]).toEqual([false, true]);
    });

    it('leaves no orphan behind a crash between issue and store', async () => {
      const life = await begin();
      const first = await life.rotate();
      const lost = await life.issue(first.handle);
      const again = await life.issue(first.handle, lost.token, lost.handle.generation);
      await life.activate(again);
      // Either the upstream shows the lost value again, or it is ended.
      const [before, after] = [lost, again].map(({ material }) => provider.secretPart(material).reveal());
      expect([await life.works(lost), await life.works(again)]).toEqual([before === after, true]);
      expect(await life.list([first, again])).toEqual([label(first.handle), label(again.handle)].sort());
    });

    it.runIf(!createsAtIssue)(
      'where a repetition finds what was activated: finds its own activation again after a lost answer',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        const again = await life.issue(first.handle, second.token, second.handle.generation);
        expect(again.handle).toEqual(second.handle);
        await life.activate(again);
        expect(await life.works(again)).toBe(true);
      },
    );

    it.runIf(provider.list !== undefined)(
      'where the upstream lists: tells the token under which a live credential was issued',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const listed = await provider.list?.(life.target, life.ctx);
        expect(listed).toEqual([{ ...first.handle, token: first.token }]);
      },
    );

    it.runIf(dual)(
      'where two live: refuses to issue while the previous generation of the slot lives',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        await expect(life.issue(second.handle)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
        expect([await life.works(first), await life.works(second)]).toEqual([true, true]);
      },
    );

    it.runIf(dual)(
      'where two live: never hits the third generation with a late or repeated revocation',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        await life.retire(first);
        const third = await life.rotate(second.handle);
        for (const endSessions of [false, true]) {
          const late = await provider.revoke(life.target, first.handle, { endSessions }, life.ctx);
          expect(late.confirmed).toBe(true);
        }
        await provider.suspension?.suspend(life.target, first.handle, life.ctx);
        expect([await life.works(second), await life.works(third)]).toEqual([true, true]);
      },
    );

    it.runIf(provider.deactivation !== undefined)(
      'where the upstream tells: tells of an ended handle that it is dead, and of one that lives that it is not, and changes neither',
      async () => {
        const life = await begin();
        const look = async ({ handle }: Live<M>): Promise<boolean | undefined> =>
          (await provider.deactivation?.(life.target, handle, life.ctx))?.confirmed;
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        expect([await look(first), await look(second)]).toEqual([false, false]);
        await life.retire(first);
        expect([await look(first), await look(second)]).toEqual([true, false]);
        const third = dual ? await life.rotate(second.handle) : second;
        expect([await look(first), await look(third)]).toEqual([true, false]);
        expect([await life.works(second), await life.works(third)]).toEqual([true, true]);
        const before = await life.list([second, third]);
        await look(first);
        expect(await life.list([second, third])).toEqual(before);
      },
    );

    it.runIf(provider.activate !== undefined)(
      'where something is activated: never brings a revoked generation back with a late activation',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        await provider.revoke(life.target, second.handle, { endSessions: true }, life.ctx);
        await failureOf(async () => life.activate(second));
        expect([await life.works(first), await life.works(second)]).toEqual([true, false]);
      },
    );

    it('issues again after an emergency has revoked all', async () => {
      const life = await begin();
      const first = await life.rotate();
      const second = await life.rotate(first.handle);
      for (const { handle } of [first, second]) {
        await provider.revoke(life.target, handle, { endSessions: true }, life.ctx);
      }
      const third = await life.rotate();
      expect(await life.works(third)).toBe(true);
      expect([await life.works(first), await life.works(second)]).toEqual([false, false]);
    });

    it.runIf(hasSessions)(
      'where there are sessions: ends open sessions in an emergency and refuses new logins',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const sessions = [];
        for (let count = 0; count < 3; count++)
          sessions.push(await harness.open(life.target, first.material));
        const done = await provider.revoke(life.target, first.handle, { endSessions: true }, life.ctx);
        expect(done).toMatchObject({ confirmed: true, sessionsEnded: 3 });
        for (const session of sessions) {
          expect(await session.works()).toBe(false);
          await session.close();
        }
        expect(await life.works(first)).toBe(false);
      },
    );

    it.runIf(hasSessions)(
      'where there are sessions: leaves open sessions alone when it retires as planned, and confirms only when they are over',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const session = await harness.open(life.target, first.material);
        await life.rotate(first.handle);
        const done = await provider.revoke(life.target, first.handle, { endSessions: false }, life.ctx);
        expect([done.confirmed, await session.works()]).toEqual([false, true]);
        await session.close();
        await vi.waitFor(async () => life.retire(first), 5_000);
      },
    );

    it('takes the revocation of what is gone, or never was, for success', async () => {
      const life = await begin();
      const never = await life.issue();
      const done = await provider.revoke(life.target, never.handle, { endSessions: true }, life.ctx);
      expect(done.confirmed).toBe(true);
      const live = await life.rotate();
      await life.retire(live);
      await life.retire(live);
    });

    it.runIf(harness.blind !== undefined)(
      'where another account’s login is let in: calls nothing gone that it does not see, only what one sees that was there before',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const { seenBy, ...unseen } = first.handle;
        const stranger = { ...unseen, seenBy: 'sha256:another login' };
        // Each in an attempt of its own.
        const attempt = (live: readonly CredentialHandle[]) => ({ ...life.ctx, live });
        const revoke = async (handle: CredentialHandle, ctx = attempt([stranger])) =>
          provider.revoke(life.target, handle, { endSessions: true }, ctx);
        const asks = [
          async () => revoke(stranger),
          async () => provider.deactivation?.(life.target, stranger, attempt([stranger])),
          async () => provider.list?.(life.target, attempt([stranger])),
        ];
        for (const ask of asks) {
          const show = harness.blind?.();
          const said = await ask().catch((error: unknown) => error);
          show?.();
          expect(said).not.toMatchObject({ confirmed: true });
          expect(said).not.toEqual([]);
          expect(await life.works(first)).toBe(true);
        }
        const second = await life.rotate(first.handle);
        // Seen before it ends, or beside the other one.
        for (let twice = 0; twice < 2; twice++) {
          const done = await revoke(stranger, attempt([stranger, second.handle]));
          expect(done.confirmed).toBe(true);
        }
        expect([await life.works(first), await life.works(second)]).toEqual([false, true]);
        // By the login that has seen it nothing else has to be there.
        if (seenBy === undefined) return;
        for (let twice = 0; twice < 2; twice++) expect((await revoke(second.handle)).confirmed).toBe(true);
        // Of the version before, which had no such word.
        expect((await revoke(unseen, attempt([unseen]))).confirmed).toBe(true);
        expect((await provider.list?.(life.target, attempt([unseen]))) ?? []).toEqual([]);
        // Nor does it become a stranger by what it has ended itself in the same attempt.
        const third = await life.rotate();
        const theirs = { ...third.handle, seenBy: stranger.seenBy };
        const same = attempt([theirs]);
        for (let twice = 0; twice < 2; twice++) expect((await revoke(theirs, same)).confirmed).toBe(true);
        expect((await provider.list?.(life.target, same)) ?? []).toEqual([]);
      },
    );

    it.runIf(provider.list !== undefined)(
      'where the upstream lists: lists its own credentials only',
      async () => {
        const life = await begin();
        const other = await begin();
        await harness.addForeignCredential(life.target);
        expect(await life.list()).toEqual([]);
        const first = await life.rotate();
        const theirs = await other.rotate();
        expect(await life.list()).toEqual([label(first.handle)]);
        expect(await other.list()).toEqual([label(theirs.handle)]);
        await life.retire(first);
        expect(await life.list()).toEqual([]);
      },
    );

    it.runIf(provider.survey !== undefined)(
      'where the upstream can be looked through: tells all that its owner has, whoever made it, and changes nothing',
      async () => {
        const life = await begin();
        const ids = async () =>
          (await provider.survey?.(life.target, life.ctx))?.credentials.map(({ id }) => id) ?? [];
        const before = await ids();
        const first = await life.rotate();
        await harness.addForeignCredential(life.target);
        const after = await ids();
        const added = harness.slots === true ? 0 : harness.pooled === true ? 1 : 2;
        expect(after).toHaveLength(before.length + added);
        expect(after).toContain(first.handle.id);
        expect(await ids()).toEqual(after);
        expect(await life.works(first)).toBe(true);
      },
    );

    it.runIf(provider.place !== undefined)(
      'where the upstream tells: tells where a credential lives, also of one that is gone, and nothing of its value',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const place = await provider.place?.(life.target, first.handle, life.ctx);
        expect(Object.keys(place ?? {}).length).toBeGreaterThan(0);
        expect(Object.values(place ?? {})).not.toContain(undefined);
        expect(JSON.stringify(place)).not.toContain(provider.secretPart(first.material).reveal());
        await life.retire(first);
        await expect(provider.place?.(life.target, first.handle, life.ctx)).resolves.toBeDefined();
      },
    );

    it.runIf(provider.suspension !== undefined)(
      'where the upstream suspends: suspends and restores, each as often as asked',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        for (let twice = 0; twice < 2; twice++) {
          await provider.suspension?.suspend(life.target, first.handle, life.ctx);
        }
        expect(await life.works(first)).toBe(false);
        for (let twice = 0; twice < 2; twice++) {
          await provider.suspension?.restore(life.target, first.handle, life.ctx);
        }
        expect(await life.works(first)).toBe(true);
      },
    );

    it.runIf(provider.suspension !== undefined)(
      'where the upstream suspends: restores nothing that is revoked',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        await provider.suspension?.suspend(life.target, first.handle, life.ctx);
        await life.retire(first);
        const error = await failureOf(async () =>
          provider.suspension?.restore(life.target, first.handle, life.ctx),
        );
        expect(error).toBeInstanceOf(RekeyError);
        expect(await life.works(first)).toBe(false);
      },
    );

    it.runIf(provider.suspension !== undefined && dual)(
      'where the upstream suspends and two live: gives no slot away that is only suspended',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const second = await life.rotate(first.handle);
        await provider.suspension?.suspend(life.target, first.handle, life.ctx);
        await expect(life.issue(second.handle)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
        await provider.suspension?.restore(life.target, first.handle, life.ctx);
        expect(await life.works(first)).toBe(true);
      },
    );

    it.runIf(provider.usage !== undefined)(
      'where the upstream shows use: sees use at the source, and does not take unseen for seen',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const session = await harness.open(life.target, first.material);
        const used = await provider.usage?.(life.target, first.handle, life.ctx);
        // `unknown` is an answer too, and never counts as unused.
        const isSeen = used !== 'unknown' && Date.parse(used?.lastSeen ?? '') > Date.now() - 60_000;
        expect(used === 'unknown' || isSeen).toBe(true);
        await session.close();
      },
    );

    describeAdoption(harness);

    it.runIf(provider.manualRevocation !== undefined)(
      'where a person can revoke: tells what revokes by hand, by the handle alone and without a secret',
      async () => {
        const life = await begin();
        const first = await life.rotate();
        const text = provider.manualRevocation?.(life.target, first.handle) ?? '';
        expect(text).toContain(first.handle.id);
        expect(text).not.toContain(provider.secretPart(first.material).reveal());
      },
    );

    it('rejects a wrong value when it verifies', async () => {
      const life = await begin();
      const first = await life.rotate();
      const wrong = harness.withWrongSecret(first.material);
      await expect(provider.verify(life.target, wrong, life.ctx)).rejects.toMatchObject({
        code: 'ERR_REJECTED',
      });
    });

    it('refuses the material of another place, and of another user (confused deputy)', async () => {
      const life = await begin();
      const first = await life.rotate();
      const other = harness.withOtherUser(first.material);
      const attempts = [
        () => provider.assertBelongs(harness.elsewhere(life.target), first.handle, first.material),
        () => provider.assertBelongs(life.target, first.handle, other),
        async () => provider.verify(harness.elsewhere(life.target), first.material, life.ctx),
        ...(provider.activate === undefined
          ? []
          : [
              async () =>
                provider.activate?.(life.target, first.token, { ...first, material: other }, life.ctx),
            ]),
      ];
      for (const attempt of attempts) {
        expect(await failureOf(attempt)).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH' });
      }
      provider.assertBelongs(life.target, first.handle, first.material);
    });

    it('reads back what it serializes, and refuses what is not its own', async () => {
      const life = await begin();
      const first = await life.rotate();
      const text = provider.serialize(first.material);
      const copy = provider.material(text);
      expect(copy.reveal()).toEqual(first.material.reveal());
      // As JSON writes it: a key may have several lines.
      expect(text.reveal()).toContain(JSON.stringify(provider.secretPart(copy).reveal()).slice(1, -1));
      const error = await failureOf(() => provider.material(text.map((json) => json.slice(1))));
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH' });
    });

    it('shows no material in a handle, a result or an error', async () => {
      const life = await begin();
      const first = await life.rotate();
      const second = await life.rotate(first.handle);
      const canaries = [first, second]
        .map(({ material }) => provider.secretPart(material).reveal())
        // Of a key with several lines each is telling.
        .flatMap((secret) =>
          secret.split('\n').filter((line) => line.length >= 8 && !line.startsWith('-----')),
        );
      const admin = (await life.ctx.admin()).reveal();
      const shown: unknown[] = [
        first,
        await provider.list?.(life.target, life.ctx),
        await failureOf(async () => life.issue(second.handle)),
        await failureOf(async () =>
          provider.verify(life.target, harness.withWrongSecret(first.material), life.ctx),
        ),
        await failureOf(() =>
          provider.material(provider.serialize(first.material).map((json) => `${json}}`)),
        ),
        await failureOf(() =>
          provider.assertBelongs(harness.elsewhere(life.target), first.handle, first.material),
        ),
        await provider.revoke(life.target, first.handle, { endSessions: true }, life.ctx),
        await failureOf(async () => provider.verify(life.target, first.material, life.ctx)),
      ];
      for (const each of shown) {
        const stack = each instanceof Error ? String(each.stack) : '';
        const text = [
          inspect(each, { depth: 20, showHidden: true }),
          JSON.stringify(each),
          String(each),
          stack,
        ].join();
        for (const canary of [...canaries, admin]) expect(text).not.toContain(canary);
      }
      expect(shown.filter((each) => each instanceof Error)).toSatisfy((errors: unknown[]) =>
        errors.every((error) => error instanceof RekeyError),
      );
    });
  });
}

import { describe, expect, it } from 'vitest';
import { Redacted } from '../../shared/domain/redacted.ts';
import { failureOf, Life, type ProviderHarness } from './provider-life.ts';

/** The part of the contract about what exists already, of a provider that can take it over. Called by `describeProvider`. */
export function describeAdoption<T, M>(harness: ProviderHarness<T, M>): void {
  const { provider } = harness;
  const { adoption } = provider;
  const dual = provider.overlap.kind === 'dual';

  describe.runIf(adoption !== undefined)('and adopts what exists (where it can)', () => {
    async function found(): Promise<{ life: Life<T, M>; material: Redacted<M> }> {
      const life = await Life.begin(harness);
      const material = await harness.addExistingCredential?.(life.target);
      if (material === undefined) throw new Error('the harness makes no credential');
      return { life, material };
    }

    // An upstream may have no place for a mark; then only the ledger knows what was adopted.
    const marks = adoption?.marks !== false;
    const words = marks ? 'is listed under its token' : 'is left to the ledger, since it bears no mark';

    it(`without a change of value: it works before, after and twice, and ${words}`, async () => {
      const { life, material } = await found();
      expect(await life.list()).toEqual([]);
      const adopted = await life.adopt(material);
      await adoption?.adopt(life.target, adopted.token, adopted, life.ctx);
      expect(await life.works(adopted)).toBe(true);
      expect(await provider.list?.(life.target, life.ctx)).toEqual(marks ? [adopted.handle] : []);
      await expect(provider.preflight(life.target, life.ctx)).resolves.toEqual([]);
    });

    it('and keeps it as the old one of its first rotation', async () => {
      const { life, material } = await found();
      const adopted = await life.adopt(material);
      const second = await life.rotate(adopted.handle);
      await provider.comparePermissions?.(life.target, adopted.handle, second.handle, life.ctx);
      expect([await life.works(adopted), await life.works(second)]).toEqual([dual, true]);
      await life.retire(adopted);
      const third = await life.rotate(second.handle);
      expect([await life.works(adopted), await life.works(third)]).toEqual([false, true]);
    });

    it('and leaves it as it was when it is released, as often as asked', async () => {
      const { life, material } = await found();
      const adopted = await life.adopt(material);
      for (let twice = 0; twice < 2; twice++) {
        await adoption?.release(life.target, adopted.token, adopted.handle, life.ctx);
      }
      expect([await life.works(adopted), await life.list()]).toEqual([true, []]);
      await life.adopt(material);
    });

    it('and revokes it in an emergency, after which a late adoption is refused', async () => {
      const { life, material } = await found();
      const adopted = await life.adopt(material);
      const done = await provider.revoke(life.target, adopted.handle, { endSessions: true }, life.ctx);
      expect([done.confirmed, await life.works(adopted)]).toEqual([true, false]);
      await failureOf(async () => adoption?.adopt(life.target, adopted.token, adopted, life.ctx));
      await adoption?.release(life.target, adopted.token, adopted.handle, life.ctx);
      expect([await life.works(adopted), await life.list()]).toEqual([false, []]);
      expect(await life.works(await life.rotate())).toBe(true);
    });

    it('but nobody else’s value, and reports what depends on it without touching it', async () => {
      const { life, material } = await found();
      const other = harness.withOtherUser(material);
      await failureOf(async () => adoption?.identify(life.target, other, life.ctx));
      const report = (await adoption?.dependencies(life.target, life.ctx)) ?? [];
      expect(report.filter(({ severity }) => severity === 'blocks')).toEqual([]);
      expect(JSON.stringify(report)).not.toContain(provider.secretPart(material).reveal());
      expect(await life.list()).toEqual([]);
    });

    it('and keeps the shape of its secret, whatever else is in there', async () => {
      const { life, material } = await found();
      // A secret of before Rekey doesn't say whose it is.
      const like = provider.serialize(material).map((json) => {
        const fields = JSON.parse(json) as Record<string, unknown>;
        const reads = (but: string): boolean => {
          const { [but]: _without, ...others } = fields;
          try {
            return provider.material(new Redacted(JSON.stringify(others))) !== undefined;
          } catch {
            return false;
          }
        };
        const whose =
          Object.keys(fields).find((field) => field === 'of') ?? Object.keys(fields).find(reads) ?? '';
        const { [whose]: _whose, ...rest } = fields;
        return JSON.stringify({ 'team:note': 'ours', ...rest, nested: { a: [1] } });
      });
      const adopted = await life.adopt(provider.material(like));
      const next = await life.issue(adopted.handle);
      const text = provider.serialize(next.material, like);
      const [before, after] = [like, text].map(
        (each) => JSON.parse(each.reveal()) as Record<string, unknown>,
      );
      expect(Object.keys(after ?? {})).toEqual(Object.keys(before ?? {}));
      expect(after).toMatchObject({ 'team:note': 'ours', nested: { a: [1] } });
      provider.assertBelongs(life.target, next.handle, provider.material(text));
      expect(provider.secretPart(provider.material(text)).reveal()).toBe(
        provider.secretPart(next.material).reveal(),
      );
    });
  });
}

import { describe, expect, it } from 'vitest';
import {
  checkChain,
  type AuditAction,
  type AuditDraft,
  type AuditRecord,
} from '../../shared/domain/audit.ts';
import { plusSeconds, toInstant } from '../../shared/domain/clock.ts';
import type { Family } from '../../shared/domain/families.ts';
import type { KnownToken } from '../../shared/domain/family-leak.ts';
import { withAttempt } from '../../shared/domain/family-refresh.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { Trigger } from '../../shared/domain/rotation.ts';
import type { FamilyLedger } from '../../shared/ports/families.ts';
import { freshFamily } from '../support/families.ts';

const NOW = Date.parse('2026-11-26T10:00:00.000Z');
const TRIGGER = { kind: 'operator', actor: 'arn:operator' } as const;

/** What every ledger of families does, in memory and in DynamoDB. `make` gives one of a tenant of its own. */
export function describeFamilies(what: string, make: () => { ledger: FamilyLedger; tenant: string }): void {
  describe(`${what} keeps token families`, () => {
    const draft = (action: AuditAction): AuditDraft => ({ action, time: toInstant(NOW), trigger: TRIGGER });
    const recordsOf = async (ledger: FamilyLedger, id: string): Promise<AuditRecord[]> => {
      const found: AuditRecord[] = [];
      for await (const record of ledger.records(id)) found.push(record);
      return found.reverse();
    };
    const created = async (
      changes: Partial<Family> = {},
      { ledger, tenant } = make(),
    ): Promise<{ ledger: FamilyLedger; family: Family; tenant: string }> => {
      const family = await ledger.create(freshFamily({ tenant, ...changes }, NOW), draft('registered'));
      return { ledger, family, tenant };
    };

    it('gives back what was created, by id and by name, with its first record', async () => {
      const { ledger, family } = await created();
      expect(family).toMatchObject({ version: 1, seq: 1 });
      expect(await ledger.family(family.id)).toEqual(family);
      expect(await ledger.familyByName(family.name)).toEqual(family);
      expect(await ledger.familyByName('another')).toBeUndefined();
      expect((await ledger.families()).items).toEqual([family]);
      const records = await recordsOf(ledger, family.id);
      expect(checkChain(records, family)).toEqual([]);
      expect(records[0]?.entity.data.fleets).toEqual(['tool-agents']);
    });

    it('refuses a name or a secret that is taken, and leaves nothing of it', async () => {
      const { ledger, family, tenant } = await created();
      const { name, secretName, refreshSecretName } = family;
      for (const taken of [
        { name },
        { secretName },
        { refreshSecretName },
        { secretName: refreshSecretName },
      ]) {
        const second = freshFamily({ tenant, ...taken }, NOW);
        await expect(ledger.create(second, draft('registered'))).rejects.toMatchObject({
          code: 'ERR_CONFLICT',
        });
        expect(await ledger.family(second.id)).toBeUndefined();
        expect(await recordsOf(ledger, second.id)).toEqual([]);
      }
    });

    it('takes one of many writes on the same version: that is the lease', async () => {
      const { ledger, family } = await created({ status: 'active' });
      const begin = (id: string): Family =>
        withAttempt(family, { id, kind: 'refresh', trigger: TRIGGER, now: NOW });
      const outcomes = await Promise.allSettled(
        ['a', 'b', 'c'].map(async (id) => ledger.commit({ before: family, after: begin(id) })),
      );
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(won).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject({ code: 'ERR_CONFLICT', retryable: true });
      expect(await ledger.family(family.id)).toEqual(won[0]?.value);
      // No event of its life: no record.
      expect(await recordsOf(ledger, family.id)).toHaveLength(1);
    });

    it('changes state and writes its records together, numbered without gap', async () => {
      const { ledger, family } = await created();
      const after = await ledger.commit({
        before: family,
        after: { ...family, status: 'active' },
        records: [draft('consent-given'), draft('tokens-refreshed')],
      });
      const records = await recordsOf(ledger, family.id);
      expect(records.map(({ message }) => message)).toEqual([
        'registered',
        'consent-given',
        'tokens-refreshed',
      ]);
      expect(checkChain(records, after)).toEqual([]);
      await expect(
        ledger.commit({ before: family, after: family, records: [draft('consent-needed')] }),
      ).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
      expect(await recordsOf(ledger, family.id)).toHaveLength(3);
    });

    it('finds a token by its fingerprint from the commit on that brings it, of each family that has it', async () => {
      const { ledger, family, tenant } = await created({ status: 'active' });
      const other = await created({ status: 'active' }, { ledger, tenant });
      const token = (one: Family, at = toInstant(NOW)): KnownToken => ({
        familyId: one.id,
        fingerprint: `sha256:${'a'.repeat(64)}`,
        kind: 'access',
        versionId: 'v1',
        at,
        expiresAt: plusSeconds(at, 3600),
      });
      const find = () => ledger.byFingerprint(token(family).fingerprint);
      expect(await find()).toEqual([]);
      const after = await ledger.commit({ before: family, after: family, tokens: [token(family)] });
      expect(await find()).toEqual([token(family)]);
      await expect(
        ledger.commit({
          before: family,
          after: family,
          tokens: [token(family, plusSeconds(toInstant(NOW), 9))],
        }),
      ).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
      expect(await find()).toEqual([token(family)]);
      await ledger.commit({ before: other.family, after: other.family, tokens: [token(other.family)] });
      expect((await find()).map(({ familyId }) => familyId).toSorted()).toEqual(
        [family.id, other.family.id].toSorted(),
      );
      // The same again is the same token, given anew.
      const again = token(family, plusSeconds(toInstant(NOW), 60));
      await ledger.commit({ before: after, after, tokens: [again] });
      expect((await find()).filter(({ familyId }) => familyId === family.id)).toEqual([again]);
    });

    it('commits what is held with its record, and what somebody has decided on since no more', async () => {
      const { ledger, family } = await created({ status: 'active' });
      const held: HeldSignal = {
        id: family.id,
        source: 'siem',
        reporter: 'signal:siem',
        why: 'it would halt 340 agents, more than 50',
        heldAt: toInstant(NOW),
        glassAt: toInstant(NOW),
        credentials: [],
        families: [{ familyId: family.id, name: family.name, fingerprint: 'sha256:1' }],
        status: 'held',
        approvals: [],
        version: 1,
      };
      const records = [draft('signal-held')];
      const after = await ledger.commit({ before: family, after: family, held, records });
      await expect(ledger.commit({ before: after, after, held, records })).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
      });
      expect(await recordsOf(ledger, family.id)).toHaveLength(2);
    });

    it('lists the records of a month over all families by time, without refreshes by the clock', async () => {
      const { ledger, family, tenant } = await created();
      const other = await created({}, { ledger, tenant });
      const at = (action: AuditAction, seconds: number, kind: Trigger['kind']): AuditDraft => ({
        action,
        time: plusSeconds(toInstant(NOW), seconds),
        trigger: { kind, actor: 'a' },
      });
      await ledger.commit({
        before: family,
        after: family,
        records: [
          at('consent-given', 10, 'operator'),
          at('tokens-refreshed', 20, 'planner'),
          at('tokens-refreshed', 40, 'operator'),
          at('consent-needed', 30 * 86_400, 'planner'),
        ],
      });
      await ledger.commit({
        before: other.family,
        after: other.family,
        records: [at('paused', 30, 'operator')],
      });
      const month = async (name: string): Promise<string[]> => {
        const found: string[] = [];
        for await (const { message } of ledger.recordsOfMonth(name)) found.push(message);
        return found;
      };
      expect(await month('2026-11')).toEqual([
        'registered',
        'registered',
        'consent-given',
        'paused',
        'tokens-refreshed',
      ]);
      expect(await month('2026-12')).toEqual(['consent-needed']);
    });

    it('gives out who is due, the earliest first, and nobody who only a person can help', async () => {
      const { ledger, family: late, tenant } = await created({ status: 'active' });
      const early = await created(
        { status: 'active', registeredAt: plusSeconds(toInstant(NOW), -60) },
        { ledger, tenant },
      );
      await created({ status: 'consent-needed' }, { ledger, tenant });
      expect(await ledger.due(toInstant(NOW - 61_000), 10)).toEqual([]);
      expect(await ledger.due(toInstant(NOW), 10)).toEqual([early.family.id, late.id]);
      expect(await ledger.due(toInstant(NOW), 1)).toEqual([early.family.id]);
    });

    it('gives its names back once it is unregistered, and keeps its chain', async () => {
      const { ledger, family, tenant } = await created();
      await ledger.release(family, draft('unregistered'));
      expect(await ledger.familyByName(family.name)).toBeUndefined();
      expect((await ledger.families()).items).toEqual([]);
      const head = await ledger.family(family.id);
      expect(head).toMatchObject({ status: 'unregistered' });
      expect(checkChain(await recordsOf(ledger, family.id), head)).toEqual([]);
      const { name, secretName, refreshSecretName } = family;
      const next = await created({ name, secretName, refreshSecretName }, { ledger, tenant });
      // A late repetition takes nothing from whoever has the name by then.
      await expect(ledger.release(family, draft('unregistered'))).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
      });
      expect(await ledger.familyByName(name)).toEqual(next.family);
    });
  });
}

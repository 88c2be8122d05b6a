import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Family } from '../../../shared/domain/families.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { familyTrailOf } from '../../../shared/domain/forensics/family-trail.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { incidentOf } from '../../../shared/domain/signals/signal.ts';
import { revokeFamilies } from '../../../shared/engine/signals/families.ts';
import { voteOnSignal } from '../../../shared/engine/signals/vote.ts';
import { TERMS } from '../../support/families.ts';
import { SignalWorld } from '../../support/signal-world.ts';

const VALUES = {
  access: 'the-access-token-of-crm-0123456789',
  refresh: 'the-refresh-token-of-crm-0123456789',
};
const role = (name: string): string => `arn:aws:sts::1:assumed-role/rekey-dev-responder/${name}`;

async function world(changes: Partial<Family> = {}): Promise<SignalWorld> {
  const one = await SignalWorld.start();
  await one.addFamily('crm', VALUES, changes);
  return one;
}

const found = (one: SignalWorld, verified: boolean, value: string = VALUES.refresh, id = '1') =>
  one.send(
    one.hmac('siem', {
      signals: [{ id, fingerprints: [fingerprint(new Redacted(value))], verified }],
    }),
  );
const trailOf = async (one: SignalWorld): Promise<string[]> => {
  const family = await one.families.familyByName('crm');
  return (one.families.chains.get(family?.id ?? '') ?? []).map(({ message }) => message);
};

/** A family whose trail says which consent has brought its tokens. */
async function consented(one: SignalWorld, name: string, values: typeof VALUES): Promise<void> {
  const holders = SignalWorld.holders(340);
  const before = await one.addFamily(name, values, { terms: { ...TERMS, holders } });
  await one.families.commit({
    before,
    after: before,
    records: [
      {
        action: 'consent-given',
        time: toInstant(one.now),
        trigger: { kind: 'operator', actor: 'o' },
        correlationId: `version-of-${name}`,
        newFingerprint: fingerprint(new Redacted(values.refresh)),
      },
    ],
  });
}

/** Values whose exposure a report of a signal has. */
async function exposedIn(one: SignalWorld, name: string, id = ''): Promise<string[]> {
  const head = await one.families.familyByName(name);
  const records = one.families.chains.get(head?.id ?? '') ?? [];
  const { keys } = familyTrailOf(records, incidentOf(id), { ...(head && { head }), now: toInstant(one.now) });
  return keys.map((key) => key.fingerprint);
}

describe('a token of a family that is found and verified', () => {
  it.each(['access', 'refresh'] as const)(
    'ends the family, through the coordinator: its %s token',
    async (kind) => {
      const one = await world();
      const { outcomes } = await found(one, true, VALUES[kind]);
      expect(outcomes).toEqual([{ act: 'revoke', credentials: [], families: ['crm'] }]);
      expect(one.familyEmergencies).toMatchObject([
        { name: 'crm', incidentId: expect.stringMatching(/^signal-/), trigger: { actor: 'signal:siem' } },
      ]);
      expect([one.emergencies, one.refreshes]).toEqual([[], []]);
      expect(await trailOf(one)).toEqual(['registered', 'leak-reported']);
      expect((await found(one, true, VALUES[kind])).outcomes).toMatchObject([{ act: 'repeated' }]);
    },
  );

  it('ends it also where it was refreshed since', async () => {
    const one = await world();
    const family = await one.families.familyByName('crm');
    if (family?.tokens === undefined) throw new Error('there is no such family');
    const tokens = { ...family.tokens, versionId: 'the-next', fingerprint: 'sha256:next' };
    await one.families.commit({ before: family, after: { ...family, tokens } });
    expect((await found(one, true)).outcomes).toMatchObject([{ act: 'revoke', families: ['crm'] }]);
  });

  it('counts with credentials: above the cap it waits, in the trail of the family', async () => {
    const one = await SignalWorld.start();
    const values = (n: number) => ({
      access: `access-${n}-0123456789abcdef`,
      refresh: `refresh-${n}-0123456789abcdef`,
    });
    for (let n = 0; n < 4; n++) await one.addFamily(`f-${n}`, values(n));
    for (let n = 0; n < 3; n++) await found(one, true, values(n).refresh, String(n));
    expect((await found(one, true, values(3).refresh, '3')).outcomes).toMatchObject([
      { act: 'hold', families: ['f-3'] },
    ]);
    expect(one.familyEmergencies.map(({ name }) => name)).toEqual(['f-0', 'f-1', 'f-2']);
    expect([...one.kept.values()]).toMatchObject([{ credentials: [], families: [{ name: 'f-3' }] }]);
  });

  it('above the cap on agents ends it once two responders have approved it, in its own trail', async () => {
    const one = await world({ terms: { ...TERMS, holders: SignalWorld.holders(340) } });
    const { outcomes } = await found(one, true);
    const id = outcomes[0]?.id ?? '';
    const vote = (name: string) =>
      voteOnSignal(one.services.deps, { id, verdict: 'approve', actor: role(name), reason: 'seen it' });
    expect([(await vote('alice')).status, one.familyEmergencies.length]).toEqual(['held', 0]);
    expect((await vote('bob')).status).toBe('approved');
    expect(one.familyEmergencies).toMatchObject([{ name: 'crm', trigger: { actor: role('bob') } }]);
    // No emergency of credentials is started for nothing.
    expect(one.emergencies).toEqual([]);
    expect(await trailOf(one)).toEqual(['registered', 'signal-held', 'signal-approved', 'signal-approved']);
  });

  it('has the exposure of an access token in its report while it waits', async () => {
    const one = await SignalWorld.start();
    await consented(one, 'crm', VALUES);
    const { outcomes } = await found(one, true, VALUES.access);
    expect(outcomes).toMatchObject([{ act: 'hold', families: ['crm'] }]);
    expect(await exposedIn(one, 'crm', outcomes[0]?.id)).toEqual([fingerprint(new Redacted(VALUES.access))]);
  });

  it('is in the report of each family and credential whose value waits', async () => {
    const one = await SignalWorld.start();
    const other = {
      access: 'the-access-token-of-erp-0123456789',
      refresh: 'the-refresh-token-of-erp-0123456789',
    };
    await consented(one, 'crm', VALUES);
    await consented(one, 'erp', other);
    one.add('orders', 'the-value-of-orders-0123456789');
    const values = [VALUES.access, other.access, 'the-value-of-orders-0123456789'];
    const send = () =>
      one.send(
        one.hmac('siem', {
          signals: [
            { id: '1', fingerprints: values.map((each) => fingerprint(new Redacted(each))), verified: true },
          ],
        }),
      );
    const { outcomes } = await send();
    expect(outcomes).toMatchObject([{ act: 'hold', credentials: ['orders'], families: ['crm', 'erp'] }]);
    expect(await exposedIn(one, 'crm', outcomes[0]?.id)).toEqual([fingerprint(new Redacted(VALUES.access))]);
    expect(await exposedIn(one, 'erp', outcomes[0]?.id)).toEqual([fingerprint(new Redacted(other.access))]);
    expect(one.records).toEqual(['signal-held']);
    expect(one.drafts).toMatchObject([{ oldFingerprint: fingerprint(new Redacted(values[2] ?? '')) }]);
    // The same again, while it waits, says nothing twice.
    await send();
    expect(await trailOf(one)).toEqual(['registered', 'consent-given', 'leak-reported']);
  });

  it('ends nothing of a later consent where an approval is repeated', async () => {
    const one = await world({ terms: { ...TERMS, holders: SignalWorld.holders(340) } });
    const { outcomes } = await found(one, true);
    const id = outcomes[0]?.id ?? '';
    const vote = (name: string) =>
      voteOnSignal(one.services.deps, { id, verdict: 'approve', actor: role(name), reason: 'seen it' });
    await vote('alice');
    await vote('bob');
    const family = await one.families.familyByName('crm');
    if (family === undefined) throw new Error('there is no such family');
    // The coordinator has ended it, and somebody has consented anew.
    const ended = { id: 'signal-1', since: '2026-11-26T11:00:00.000Z', outcome: 'revoked' } as const;
    await one.families.commit({ before: family, after: { ...family, ended } });
    expect((await vote('bob')).status).toBe('approved');
    expect(one.familyEmergencies).toHaveLength(1);
  });

  it('beside credentials that were rotated since ends what is alive, and no value that came after', async () => {
    const one = await world({ terms: { ...TERMS, holders: SignalWorld.holders(340) } });
    const values = ['orders', 'stock'].map((name) => `the-value-of-${name}-0123456789abcdef`);
    one.add('orders', values[0] ?? '');
    one.add('stock', values[1] ?? '');
    const fingerprints = [VALUES.refresh, ...values].map((value) => fingerprint(new Redacted(value)));
    const sent = one.hmac('siem', { signals: [{ id: '1', fingerprints, verified: true }] });
    const id = (await one.send(sent)).outcomes[0]?.id ?? '';
    const next = { id: 'user-orders', generation: 2 };
    const current = { handle: next, versionId: 'v2', fingerprint: 'sha256:next', issuedAt: 'later' };
    one.change('orders', { live: [next], current });
    for (const name of ['alice', 'bob'])
      await voteOnSignal(one.services.deps, { id, verdict: 'approve', actor: role(name), reason: 'seen it' });
    expect(one.emergencies).toMatchObject([{ credentials: [{ credentialId: 'id-stock' }] }]);
    expect(one.familyEmergencies).toMatchObject([{ name: 'crm' }]);
  });

  it('is not approved once the family has ended', async () => {
    const one = await world({ terms: { ...TERMS, holders: SignalWorld.holders(340) } });
    const { outcomes } = await found(one, true);
    const family = await one.families.familyByName('crm');
    if (family === undefined) throw new Error('there is no such family');
    const ended = { id: 'INC-1', since: '2026-11-26T11:00:00.000Z', outcome: 'revoked' } as const;
    await one.families.commit({ before: family, after: { ...family, ended } });
    const vote = {
      id: outcomes[0]?.id ?? '',
      verdict: 'approve',
      actor: role('alice'),
      reason: 'r',
    } as const;
    await expect(voteOnSignal(one.services.deps, vote)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  it('beside a credential starts both, and neither waits for the other to work', async () => {
    const one = await world();
    one.add('orders', 'the-value-of-orders-0123456789abcdef');
    one.refuseFamilies = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    const fingerprints = [VALUES.refresh, 'the-value-of-orders-0123456789abcdef'].map((value) =>
      fingerprint(new Redacted(value)),
    );
    const send = () => one.send(one.hmac('siem', { signals: [{ id: '1', fingerprints, verified: true }] }));
    expect((await send()).response.statusCode).toBe(503);
    expect(one.emergencies).toHaveLength(1);
    // It was not carried out: the same again does the rest.
    one.refuseFamilies = undefined;
    expect((await send()).outcomes).toMatchObject([
      { act: 'revoke', credentials: ['orders'], families: ['crm'] },
    ]);
    expect(new Set(one.emergencies.map(({ id }) => id)).size).toBe(1);
    expect(one.familyEmergencies).toHaveLength(2);
  });
});

describe('several families that are to end', () => {
  it('are all asked for before one that fails is told of: a function that has answered stands still', async () => {
    const ended: string[] = [];
    const revoke = async ({ name }: { name: string }): Promise<void> => {
      if (name === 'failing') throw new RekeyError('ERR_UNAVAILABLE', 'no answer');
      await new Promise((resolve) => setTimeout(resolve, 20));
      ended.push(name);
    };
    const emergency = { incidentId: 'INC-1', trigger: { kind: 'signal', actor: 'signal:siem' } } as const;
    const work = revokeFamilies({ revoke }, ['failing', 'slow'], emergency);
    await expect(work).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(ended).toEqual(['slow']);
  });
});

describe('a token of a family that is found and not verified', () => {
  it('is spent by a refresh, and nobody is halted', async () => {
    const one = await world();
    expect((await found(one, false)).outcomes).toEqual([
      { act: 'rotate', credentials: [], families: ['crm'] },
    ]);
    expect([one.refreshes, one.familyEmergencies]).toEqual([['crm'], []]);
    expect(await trailOf(one)).toEqual(['registered', 'leak-reported']);
  });

  it('and was refreshed since is refreshed again, at most every ten minutes', async () => {
    const one = await world();
    const family = await one.families.familyByName('crm');
    if (family?.tokens === undefined) throw new Error('there is no such family');
    await one.families.commit({
      before: family,
      after: { ...family, tokens: { ...family.tokens, versionId: 'the-next' } },
    });
    for (let n = 0; n < 5; n++) await found(one, false, VALUES.refresh, String(n));
    expect(one.refreshes).toEqual([]);
    one.now += 600_000;
    await found(one, false, VALUES.refresh, 'later');
    expect(one.refreshes).toEqual(['crm']);
  });

  it.each([
    ['its server never replaces it', { terms: { ...TERMS, rotation: false } }, undefined],
    ['the family is paused', {}, new RekeyError('ERR_PAUSED', 'crm is paused')],
  ] as const)('waits for people where %s', async (_what, changes, refusal) => {
    const one = await world(changes);
    one.refuseFamilies = refusal;
    expect((await found(one, false)).outcomes).toMatchObject([{ act: 'hold', families: ['crm'] }]);
    expect([...one.kept.values()][0]?.why).toMatch(/never replaces|is paused/);
    expect(await trailOf(one)).toEqual(['registered', 'signal-held']);
  });

  it('is sent again where the server does not answer', async () => {
    const one = await world();
    one.refuseFamilies = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    expect((await found(one, false)).response.statusCode).toBe(503);
    expect(one.writes).not.toContain('mark');
  });

  it('of a family that was ended before is noted, and starts nothing', async () => {
    const ended = { id: 'INC-1', since: '2026-11-26T11:00:00.000Z', outcome: 'revoked' } as const;
    const one = await world({ ended });
    expect((await found(one, true)).outcomes).toMatchObject([{ act: 'note', families: ['crm'] }]);
    expect([one.refreshes, one.familyEmergencies]).toEqual([[], []]);
    expect(await trailOf(one)).toEqual(['registered', 'leak-reported']);
  });
});

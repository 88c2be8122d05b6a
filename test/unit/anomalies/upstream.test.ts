import { describe, expect, it } from 'vitest';
import { SLOT_SECONDS } from '../../../shared/domain/anomalies/slots.ts';
import { plusSeconds, type Instant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { UpstreamUse } from '../../../shared/domain/upstream-use.ts';
import { instant, Reporting } from '../../support/reporting.ts';

describe('what upstreams tell of uses', () => {
  const login = (at: Instant, changes: Partial<UpstreamUse> = {}): UpstreamUse => ({
    credentialId: 'id-orders',
    source: 'database-log',
    keyId: 'orders_a',
    who: 'shop (orders_a)',
    address: '10.0.0.7',
    scope: 'orders',
    outcome: 'worked',
    from: at,
    to: at,
    ...changes,
  });

  /** Ten days in which a shop logs in from nine to twelve, into whichever of its two users is current. */
  async function shop(changes: Partial<Credential> = {}, days = 10): Promise<Reporting> {
    const world = new Reporting();
    world.credentials.length = 0;
    world.add('orders');
    Object.assign(world.credentials[0] ?? {}, changes);
    for (let day = 0; day < days; day++) {
      const keyId = day < 6 ? 'orders_a' : 'orders_b';
      for (const hour of [9, 10, 11]) {
        for (const minute of [1, 20, 40])
          world.told.uses.push(login(instant(day, hour, minute), { keyId, who: `shop (${keyId})` }));
      }
      for (let at = instant(day, 9, 30); at < instant(day, 13, 31); at = plusSeconds(at, SLOT_SECONDS))
        await world.judge(at);
    }
    return world;
  }
  const after = async (world: Reporting, ...uses: UpstreamUse[]): Promise<string[]> => {
    const before = new Set(world.found);
    world.told.uses.push(...uses);
    await world.judge(instant(10, 23));
    return world.found.filter((each) => !before.has(each));
  };

  it('is usual whichever login is current, and unusual by hour, network, database and application', async () => {
    const other = { address: '198.51.100.9', scope: 'payroll', who: 'psql (orders_b)', keyId: 'orders_b' };
    const world = await shop();
    expect(await after(world, login(instant(10, 10)))).toEqual([]);
    expect(await after(await shop(), login(instant(10, 20), other))).toEqual([
      expect.stringContaining('reader psql (orders_b)'),
      'hour psql (orders_b) 20',
      'network psql (orders_b) 198.51.100.0/24',
      'resource psql (orders_b) payroll',
    ]);
  });

  it('counts each minute of a kind once where nothing is counted, however often it comes', async () => {
    const world = await shop();
    const often = Array.from({ length: 40 }, (_, n) => login(instant(10, 10, n)));
    expect(await after(world, ...often, ...often)).toEqual(['volume shop (orders_a) 2026-09-17']);
    const few = Array.from({ length: 4 }, (_, n) => login(instant(10, 10, n)));
    expect(await after(await shop(), ...Array.from({ length: 20 }, () => few).flat())).toEqual([]);
  });

  it('is outside of what the declaration opens at once, without a baseline', async () => {
    const declared = { type: 'database', target: { database: 'orders' } };
    const world = await shop(declared, 1);
    world.told.uses.push(login(instant(0, 13, 5), { scope: 'payroll' }));
    await world.judge(instant(0, 23));
    expect(world.found.filter((each) => each.startsWith('outside'))).toEqual([
      'outside shop (orders_a) payroll',
    ]);
  });

  it('of reads of its secret was judged as they came, and is not judged anew', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9));
    const { keyId: _none, ...read } = login(instant(0, 9, 5), { source: 'cloudtrail' });
    world.told.uses.push(read);
    await world.judge(instant(0, 12));
    expect(world.baselines.known).toEqual({});
  });

  it('that counts over a longer time says nothing of the hour, and is judged once its upstream has had its time', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9));
    const counted = { source: 'provider-usage', who: 'proj_1', succeeded: 500, refused: 20 } as const;
    world.told.uses.push(login(instant(0, 9), { ...counted, to: instant(0, 21) }));
    await world.judge(instant(0, 13, 15));
    expect(world.baselines.known).toEqual({});
    await world.judge(instant(0, 13, 30));
    expect(world.baselines.known['agents/orders ["upstream","provider-usage"]']).toMatchObject({
      open: [{ hour: '2026-09-07T09', count: 520 }],
      days: [{ traits: { network: ['10.0.0.0/24'] } }],
    });
    expect(JSON.stringify(world.baselines.known)).not.toContain('"hour":["');
  });
});

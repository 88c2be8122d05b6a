import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { observeReads } from '../../../shared/engine/readers.ts';
import { ownRoles } from '../../../shared/names.ts';
import { FakeBaselines } from '../../support/baselines.ts';
import { ACCOUNT, assumedRole, readRecord, REGION } from '../../support/cloudtrail.ts';
import { DAY_MS, MIDNIGHT } from '../../support/traffic.ts';

const SECRET = 'agents/orders';
const scope = { account: ACCOUNT, region: REGION, prefixes: ['agents/'], ownRoles: ownRoles('prod') };
const readers = { saw: () => Promise.resolve(false), of: () => Promise.resolve([]) };

/** Reads at nine, ten, eleven and twelve o'clock of a day, from one network. */
function reads(
  day: number,
  { role = 'crawler', hours = [9, 10, 11, 12], address = '10.0.0.7', of = 'r' } = {},
): string[] {
  return hours.map((hour, n) =>
    JSON.stringify(
      readRecord(SECRET, assumedRole(role, 'session'), {
        eventTime: toInstant(MIDNIGHT + day * DAY_MS + hour * 3_600_000 + n * 1000).replace('.000Z', 'Z'),
        eventID: `${of}-${role}-${day}-${hour}-${n}`,
        sourceIPAddress: address,
      }),
    ),
  );
}

async function settled(): Promise<FakeBaselines> {
  const baselines = new FakeBaselines();
  for (let day = 0; day < 10; day++) await observeReads({ readers, baselines }, reads(day), scope);
  for (const suspicion of await baselines.suspicions()) await baselines.weighed(suspicion);
  return baselines;
}
const found = (baselines: FakeBaselines): string[] =>
  [...baselines.waiting.values()].map(
    ({ rule, what, isEarly }) => `${rule} ${rule === 'reader' ? (isEarly ?? 'new') : what}`,
  );

describe('reads by CloudTrail', () => {
  it('teach what is usual, and what is not waits to be weighed', async () => {
    const baselines = await settled();
    const { unusual } = await observeReads(
      { readers, baselines },
      reads(10, { address: '198.51.100.9' }),
      scope,
    );
    expect([unusual, found(baselines)]).toEqual([1, ['network 198.51.100.0/24']]);
    expect(JSON.stringify([...baselines.waiting.values()])).not.toContain('198.51.100.9');
  });

  it('by somebody new are early while readers are not known, and new once they are', async () => {
    const baselines = new FakeBaselines();
    await observeReads({ readers, baselines }, reads(0), scope);
    expect(found(baselines)).toEqual(['reader true']);
    const later = await settled();
    await observeReads({ readers, baselines: later }, reads(10, { role: 'stranger' }), scope);
    expect(found(later)).toEqual(['reader new']);
  });

  it('count once, whether they come twice at once, in another batch, or with a batch that is given again', async () => {
    const [once, twice] = [await settled(), await settled()];
    const batch = reads(10);
    await observeReads({ readers, baselines: once }, batch, scope);
    await observeReads({ readers, baselines: twice }, [...batch, ...batch], scope);
    await observeReads({ readers, baselines: twice }, batch, scope);
    expect(twice.known).toEqual(once.known);
  });

  it.each(['suspect', 'keep'] as const)(
    'are found again where the process dies before it can %s, and then once',
    async (at) => {
      const baselines = await settled();
      const strange = reads(10, { address: '198.51.100.9' });
      let dies = true;
      baselines.before = (what) => {
        if (what === at && dies) throw new Error('killed');
      };
      await expect(observeReads({ readers, baselines }, strange, scope)).rejects.toThrow('killed');
      dies = false;
      await observeReads({ readers, baselines }, strange, scope);
      await observeReads({ readers, baselines }, strange, scope);
      expect(found(baselines)).toEqual(['network 198.51.100.0/24']);
    },
  );

  it('are all counted where two look at once', async () => {
    const [one, other] = [await settled(), await settled()];
    const halves = [reads(10, { hours: [9, 9, 9], of: 'a' }), reads(10, { hours: [9, 9, 9], of: 'b' })];
    await Promise.all(halves.map((half) => observeReads({ readers, baselines: one }, half, scope)));
    for (const half of halves) await observeReads({ readers, baselines: other }, half, scope);
    const counts = ({ known }: FakeBaselines) => Object.values(known).map(({ open }) => open.at(-1)?.count);
    expect(counts(one)).toEqual(counts(other));
    expect(counts(one)).toContain(6);
  });

  it('under another user agent or session name are by the same reader', async () => {
    const baselines = await settled();
    const disguised = reads(10, { address: '198.51.100.9' }).map((text) =>
      text.replace('aws-sdk-js/3.1163.0', 'Boto3 exec-env/AWS_ECS_FARGATE').replaceAll('session"', 'else"'),
    );
    await observeReads({ readers, baselines }, disguised, scope);
    expect(found(baselines)).toEqual(['network 198.51.100.0/24']);
  });
});

import { describe, expect, it } from 'vitest';
import { observeReads } from '../../../shared/engine/readers.ts';
import { observeCalls } from '../../../shared/engine/upstream-uses.ts';
import { ACCOUNT, assumedRole, keyCall, readRecord, REGION } from '../../support/cloudtrail.ts';
import { MemoryUpstreamUses } from '../../support/upstream-uses.ts';
import { FakeReaderLog } from '../api/fakes.ts';

const KEY = 'AKIAIOSFODNN7EXAMPLE';
const scope = { account: ACCOUNT };

function world() {
  const uses = new MemoryUpstreamUses();
  const asked: string[] = [];
  const ownerOf = async (name: string): Promise<string | undefined> => {
    asked.push(name);
    return Promise.resolve(name === 'deployer' || name === 'agents/orders' ? 'c-1' : undefined);
  };
  return { uses, asked, ownerOf };
}

describe('calls that CloudTrail tells of', () => {
  const texts = [
    keyCall(KEY, 'deployer'),
    keyCall(KEY, 'deployer', { eventTime: '2026-11-22T10:12:10Z' }),
    keyCall(KEY, 'somebody'),
    readRecord('agents/orders', assumedRole('observer', 's'), { eventTime: '2026-11-22T10:10:00Z' }),
  ].map((record) => JSON.stringify(record));

  it('are kept for the credential of their user; what is nobody’s is counted, and each user looked for once', async () => {
    const { uses, asked, ownerOf } = world();
    const answer = await observeCalls({ uses, ownerOf }, [...texts, 'no JSON'], scope);
    expect(answer).toEqual({ uses: 2, written: 1, dropped: { unowned: 1, 'no-key': 1, malformed: 1 } });
    expect(asked).toEqual(['deployer', 'somebody']);
    expect(uses.uses).toMatchObject([
      { credentialId: 'c-1', keyId: KEY, from: '2026-11-22T10:12:10.000Z', to: '2026-11-22T10:12:54.000Z' },
    ]);
    expect(uses.uses[0]).not.toHaveProperty('user');
  });

  it('cover the times at which anything was told, and twice is once', async () => {
    const { uses, ownerOf } = world();
    await observeCalls({ uses, ownerOf }, texts, scope);
    expect(uses.covered.map(({ of, from }) => `${of} ${from}`)).toContain(
      'deployment 2026-11-22T10:10:00.000Z',
    );
    expect((await observeCalls({ uses, ownerOf }, texts, scope)).written).toBe(0);
  });

  it('cover nothing where the uses could not be kept', async () => {
    const { uses, ownerOf } = world();
    uses.keep = async () => Promise.reject(new Error('down'));
    await expect(observeCalls({ uses, ownerOf }, texts, scope)).rejects.toThrow('down');
    expect(uses.covered).toEqual([]);
  });
});

describe('reads of a secret', () => {
  const reads = [
    readRecord('agents/orders', assumedRole('crawler', 's')),
    readRecord('agents/orders', assumedRole('crawler', 's'), { eventTime: '2026-11-22T10:13:10Z' }),
    readRecord('agents/unregistered', assumedRole('crawler', 's')),
  ].map((record) => JSON.stringify(record));
  const where = { account: ACCOUNT, region: REGION, prefixes: ['agents/'], ownRoles: [] };

  it('are each kept by the minute where that is asked for', async () => {
    const { uses, ownerOf } = world();
    const readers = new FakeReaderLog();
    expect((await observeReads({ readers, log: { uses, ownerOf } }, reads, where)).kept).toBe(2);
    expect(uses.uses).toMatchObject(
      ['10:12:54', '10:13:10'].map((time) => ({
        credentialId: 'c-1',
        source: 'cloudtrail',
        who: `arn:aws:iam::${ACCOUNT}:role/crawler`,
        address: '203.0.113.7',
        from: `2026-11-22T${time}.000Z`,
      })),
    );
    expect(uses.uses.every(({ keyId }) => keyId === undefined)).toBe(true);
    expect((await observeReads({ readers }, reads, where)).kept).toBe(0);
  });
});

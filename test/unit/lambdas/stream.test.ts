import type { DynamoDBStreamEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { assertPrefix } from '../../../lambdas/register/prefix.ts';
import { eachChange, type TableChange } from '../../../lambdas/stream.ts';
import { parseEntry } from '../../../shared/domain/declaration.ts';

type Change = 'INSERT' | 'MODIFY' | 'REMOVE';

function event(...records: [Change, string, string | undefined, string | undefined][]): DynamoDBStreamEvent {
  const image = (doc: string | undefined) => (doc === undefined ? {} : { doc: { S: doc } });
  return {
    Records: records.map(([eventName, sk, before, after], index) => ({
      eventName,
      dynamodb: {
        SequenceNumber: String(index),
        Keys: { pk: { S: 'default#C#c1' }, sk: { S: sk } },
        ...(before === undefined ? {} : { OldImage: image(before) }),
        ...(after === undefined ? {} : { NewImage: image(after) }),
      },
    })),
  };
}

async function seen(given: DynamoDBStreamEvent): Promise<TableChange[]> {
  const changes: TableChange[] = [];
  await eachChange(
    given,
    async (change) => void changes.push(change),
    () => undefined,
  );
  return changes;
}

describe('a change of the ledger table', () => {
  it('is known by its key: no attribute that a writer leaves out hides an audit row', async () => {
    const kinds = (
      await seen(
        event(
          ['MODIFY', 'AUD#000000000001', '{}', undefined],
          ['INSERT', 'HEAD', undefined, '{}'],
          ['INSERT', 'ROT#1', undefined, '{}'],
        ),
      )
    ).map(({ kind }) => kind);
    expect(kinds).toEqual(['audit', 'credential', 'other']);
  });

  it('that fails is where the stream resumes; what comes after waits', async () => {
    const failures: string[] = [];
    const answer = await eachChange(
      event(
        ['INSERT', 'AUD#1', undefined, 'good'],
        ['INSERT', 'AUD#2', undefined, 'bad'],
        ['INSERT', 'AUD#3', undefined, 'good'],
      ),
      async ({ after }) => {
        if (after === 'bad') throw new Error('no');
      },
      (_error, key) => failures.push(key),
    );
    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] });
    expect(failures).toEqual(['default#C#c1 AUD#2']);
  });
});

describe('the prefix of secrets', () => {
  const entry = (secret: string, more: object = {}) =>
    parseEntry({
      name: 'orders',
      type: 'database',
      provider: 'postgresql',
      secret,
      admin: 'a',
      target: {},
      ...more,
    });

  it('admits what the deployment’s roles reach, and nothing else', () => {
    expect(() => assertPrefix(entry('agents/orders'), 'agents/', ['prod/'])).not.toThrow();
    for (const secret of ['payroll/bank', 'agents', 'agents/', 'AGENTS/orders']) {
      expect(() => assertPrefix(entry(secret), 'agents/', ['payroll/'])).toThrow(
        expect.objectContaining({ code: 'ERR_DECLARATION', field: 'secret' }),
      );
    }
  });

  it('admits what exists below the prefixes of adoption as well, and names the setting otherwise', () => {
    const existing = (secret: string) => entry(secret, { adopt: true });
    for (const secret of ['agents/orders', 'payroll/bank', 'team-x-db']) {
      expect(() => assertPrefix(existing(secret), 'agents/', ['payroll/', 'team-x-'])).not.toThrow();
    }
    expect(() => assertPrefix(existing('payroll/bank'), 'agents/', [])).toThrow(
      expect.objectContaining({ field: 'secret', remedy: expect.stringContaining('adoptPrefixes') }),
    );
  });
});

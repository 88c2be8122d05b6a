import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../../shared/domain/capabilities.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeAll(async () => {
  api = await startStandIn();
});
afterAll(async () => api.close());

describe('rekey providers', () => {
  it('prints every fact of every provider as JSON', async () => {
    const { exit, stdout } = await rekey(api, ['--json', 'providers']);
    const listed = JSON.parse(stdout) as ({ type: string; provider: string } & Record<string, unknown>)[];
    expect(exit).toBe(0);
    expect(listed.map(({ type, provider }) => `${type}/${provider}`)).toEqual(Object.keys(CAPABILITIES));
    for (const { type, provider, ...facts } of listed) {
      expect(facts).toEqual({
        needsAdmin: true,
        ...CAPABILITIES[`${type}/${provider}` as keyof typeof CAPABILITIES],
      });
    }
    expect(listed.find(({ provider }) => provider === 'aws-iam')).toMatchObject({
      overlap: { kind: 'dual', maxLive: 2 },
      canCreate: true,
      canSuspend: true,
      needsAdmin: false,
    });
  });

  it('prints a table that a terminal of 80 columns has room for, grouped by type', async () => {
    const { stdout } = await rekey(api, ['providers']);
    const lines = stdout.split('\n');
    const table = lines.slice(0, lines.indexOf(''));
    expect(table.filter((line) => line.length > 79)).toEqual([]);
    expect(table).toContain('llm-key');
    expect(table.find((line) => line.startsWith('  anthropic'))).toMatch(/ 2 +pool +yes +api +1m +not told$/);
    expect(table.find((line) => line.startsWith('  postgresql'))).toMatch(/ at once +at once$/);
    expect(table.find((line) => line.startsWith('  chroma '))).toContain(' deploy ');
    expect(table.find((line) => line.startsWith('  by-hand'))).toMatch(/ – +no +no +manual +– +not told$/);
    expect(table.find((line) => line.startsWith('  openai '))).toContain(' api* ');
    expect(stdout).toMatch(/^\* openai may refuse: .*docs\/providers\/openai\.md/m);
    expect(stdout).toContain('anthropic: Workload Identity Federation');
  });

  it('asks nobody, neither the API nor AWS', async () => {
    const before = api.seen.length;
    await rekey(api, ['providers']);
    expect(api.seen.length).toBe(before);
  });

  it('lists one type, and names the types where there is no such one', async () => {
    const { stdout } = await rekey(api, ['--json', 'providers', '--type', 'cloud-key']);
    const listed = JSON.parse(stdout) as { type: string }[];
    expect(new Set(listed.map(({ type }) => type))).toEqual(new Set(['cloud-key']));
    const { exit, stderr } = await rekey(api, ['providers', '--type', 'oauth']);
    expect([exit, stderr]).toEqual([2, expect.stringContaining('database, llm-key, ')]);
  });
});

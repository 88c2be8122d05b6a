import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parleyProvider } from '../../../examples/provider/parley.ts';
import { describeKeyFaults, type KeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeParley } from '../../fakes/parley.ts';

const root = join(import.meta.dirname, '..', '..', '..');

/** The case of an upstream, for both kits. */
function parleyCase(): KeyFaults<Parameters<typeof parleyProvider.verify>[0]> {
  let fake: FakeParley;
  return {
    provider: parleyProvider,
    start: async () => {
      fake = await FakeParley.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    url: () => `${fake.server.url}/v1`,
    target: () => ({ team: 'team_1' }),
    admin: () => ({ adminKey: fake.adminKey }),
    takes: async (value, { baseUrl }) =>
      (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${value}` } })).ok,
    addForeign: ({ team }, name = 'made by hand') => {
      fake.keys.add(team, name, 'pk-');
    },
    fake: () => fake,
    isTest: ({ path }) => path === '/v1/models',
    fill: ({ team }) => {
      fake.keys.room = fake.keys.of(team).length;
      return () => {
        fake.keys.room = Infinity;
      };
    },
  };
}

describe('the worked example of a provider', () => {
  describeProvider('Parley', keyHarness(parleyCase()));
  describeKeyFaults('Parley', parleyCase());

  it('stands in docs/adding-a-provider.md with its case', async () => {
    const page = await readFile(join(root, 'docs', 'adding-a-provider.md'), 'utf8');
    const tests = await readFile(import.meta.filename, 'utf8');
    const [own = ''] = /^function parleyCase[^]*?^}\n/m.exec(tests) ?? [];
    expect(own).not.toBe('');
    expect(page).toContain(own);
  });

  it('stands in docs/adding-a-provider.md as it is, at most 150 lines long', async () => {
    const page = await readFile(join(root, 'docs', 'adding-a-provider.md'), 'utf8');
    const code = await readFile(join(root, 'examples', 'provider', 'parley.ts'), 'utf8');
    expect(page).toContain(`\`\`\`ts\n${code}\`\`\``);
    expect(code.split('\n').length).toBeLessThanOrEqual(150);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rekey, startStandIn, type Ran, type StandIn } from './stand-in.ts';

const entry = (name: string, change: object = {}): object => ({
  name,
  type: 'database',
  provider: 'postgresql',
  secret: `agents/${name}`,
  admin: `admin/${name}`,
  target: { host: 'db.internal' },
  ...change,
});
const declaration = (...credentials: object[]): string => JSON.stringify({ version: 1, credentials });

let api: StandIn;
let folder: string;
beforeEach(async () => {
  api = await startStandIn();
  folder = await mkdtemp(join(tmpdir(), 'rekey-'));
  api.routes['POST /v1/credentials'] = {
    status: 201,
    body: { outcome: 'registered', dryRun: false, changes: [] },
  };
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

async function applied(outputs: unknown, ...args: string[]): Promise<Ran> {
  const text = typeof outputs === 'string' ? outputs : JSON.stringify(outputs);
  await writeFile(join(folder, 'outputs.json'), text);
  return rekey(api, ['apply', '--outputs', 'outputs.json', ...args], { cwd: folder });
}

describe('rekey apply --outputs', () => {
  it('sends the entries of every stack, and nothing of other outputs', async () => {
    const { exit } = await applied({
      Orders: { RekeyCredentialA: declaration(entry('orders-db')), Url: 'https://example.com' },
      Billing: { RekeyCredentialB: declaration(entry('billing-db')) },
      Empty: {},
    });
    expect(exit).toBe(0);
    expect(api.seen.map(({ body }) => body)).toMatchObject([
      { declaration: entry('orders-db') },
      { declaration: entry('billing-db') },
    ]);
  });

  it('names the output of each mistake, and sends nothing', async () => {
    const { exit, stderr } = await applied({
      Orders: { RekeyCredentialA: declaration(entry('orders-db')) },
      Billing: { RekeyCredentialB: declaration(entry('billing-db', { secret: 'agents/orders-db' })) },
    });
    expect(exit).toBe(1);
    expect(stderr).toContain('outputs.json: Billing.RekeyCredentialB: ');
    expect(api.seen).toEqual([]);
  });

  it.each([
    [
      'no output of the construct',
      { Orders: { Url: 'https://example.com' } },
      2,
      'holds no output of a RekeyCredential',
    ],
    ['no JSON', 'version: 1', 2, 'is not a JSON object'],
    ['a list', [], 2, 'is not a JSON object'],
    [
      'a declaration of another version',
      { Orders: { RekeyCredentialA: '{"version":2,"credentials":[]}' } },
      1,
      'Orders.RekeyCredentialA: not a declaration of version 1',
    ],
    ['an output that is no declaration', { Orders: { RekeyCredentialA: 'x' } }, 1, 'not a declaration'],
  ])('%s is refused', async (_what, outputs, code, message) => {
    const { exit, stderr } = await applied(outputs);
    expect([exit, api.seen]).toEqual([code, []]);
    expect(stderr).toContain(message);
  });

  it('goes with no declaration file beside it', async () => {
    const { exit, stderr } = await applied({}, '-f', 'rekey.yaml');
    expect(exit).toBe(2);
    expect(stderr).toContain('cannot be used with');
  });
});

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';
import { venvPython } from '../../scripts/setup.mjs';
import { AgentServer } from '../fakes/agent-server.ts';
import { startSecretsManager } from '../fakes/secrets-manager-server.ts';
import { AGENT, AgentApiWorld, holder } from '../support/agent-api.ts';
import { MemoryAgentStore, MemorySealer } from '../support/agent-parts.ts';
import { credentialOf, rotationOf } from '../unit/api/fakes.ts';

let database: Postgres;
beforeAll(async () => {
  database = await startPostgres();
}, 60_000);
afterAll(async () => database.stop(), 30_000);

function login(user: string, password: string): pg.ClientConfig {
  const { host, port, caPem } = database;
  return { host, port, user, password, database: 'postgres', ssl: { ca: caPem } };
}

async function sql(statement: string): Promise<void> {
  const { user, password } = database.superuser;
  const client = new pg.Client(login(user, password));
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** Whether the database takes the login, by a connection of its own. */
async function isTaken(user: string, password: string): Promise<boolean> {
  const client = new pg.Client(login(user, password));
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

/** A service that takes whom the database takes, and says whom. */
async function startService(): Promise<AsyncDisposable & { url: string; users: string[] }> {
  const users: string[] = [];
  const server = createServer((request, response) => {
    const basic = (request.headers.authorization ?? '').replace('Basic ', '');
    const [user = '', password = ''] = Buffer.from(basic, 'base64').toString().split(':');
    void isTaken(user, password).then((taken) => {
      if (taken) users.push(user);
      return response.writeHead(taken ? 200 : 401).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    users,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/task`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it('an agent in Python moves under its work, proves it, and no login of it is refused', async () => {
  await sql("CREATE ROLE orders_a LOGIN PASSWORD 'first'");
  await sql("CREATE ROLE orders_b LOGIN PASSWORD 'second'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const old = vault.put(JSON.stringify({ username: 'orders_a', password: 'first' }), 'AWSCURRENT');
  const store = new MemoryAgentStore();
  const world = new AgentApiWorld(() => ({ agents: store, sealer: new MemorySealer() }));
  world.now = Date.now();
  const { current } = credentialOf();
  const { old: replaced } = rotationOf();
  if (current === undefined || replaced === undefined) throw new Error('both are there');
  world.ledger.add(credentialOf({ holders: [holder()], current: { ...current, versionId: old } }));
  await world.pact({}, { uses: 'unreported' });
  await using api = new AgentServer(world);
  await api.listen();

  const about = ['--api', api.url, '--agent', AGENT, '--credential', 'orders-db', '--work', service.url];
  const script = join(import.meta.dirname, '..', '..', 'examples', 'python', 'agent.py');
  const agent = spawn(venvPython(), [script, ...about, '--heartbeat', '0.5', '--seconds', '8'], {
    env: {
      PATH: process.env['PATH'],
      AWS_ENDPOINT_URL: vault.url,
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 's',
    },
  });
  const said = text(agent.stdout);
  const complained = text(agent.stderr);
  const ended = new Promise((resolve) => agent.on('exit', resolve));
  const options = { timeout: 20_000, interval: 50 };
  await vi.waitFor(() => expect(service.users).toContain('orders_a'), options);

  const value = JSON.stringify({ username: 'orders_b', password: 'second' });
  const next = vault.put(value, 'AWSPENDING');
  vault.promote(next);
  await world.openWindow({ old: { ...replaced, versionId: old } }, { versionId: next, value });
  await vi.waitFor(() => expect(store.said).toHaveLength(1), options);
  // Its word is enough for the old login to end.
  await sql('ALTER ROLE orders_a NOLOGIN');

  expect([await ended, await complained]).toEqual([0, '']);
  expect(store.said).toMatchObject([{ agent: AGENT, versionId: next, persisted: true }]);
  expect(await said).toMatch(/"refused": 0/);
  expect(await said).not.toContain('second');
  expect(service.users.at(-1)).toBe('orders_b');
  expect(api.of('close')).toMatchObject([{ status: 200 }]);
  expect(api.of('heartbeat').at(-1)?.body).toEqual({
    holds: [{ credential: 'orders-db', versionId: next }],
  });
  expect(api.violations).toEqual([]);
  expect(api.signatures.every((each) => each.startsWith('AWS4-HMAC-SHA256 Credential=a/'))).toBe(true);
}, 60_000);

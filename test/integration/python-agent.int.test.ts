import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';
import { venvPython } from '../../scripts/setup.mjs';
import { AgentServer } from '../fakes/agent-server.ts';
import { startSecretsManager } from '../fakes/secrets-manager-server.ts';
import { AGENT, AgentApiWorld, holder } from '../support/agent-api.ts';
import { MemoryAgentStore, MemorySealer } from '../support/agent-parts.ts';
import { credentialOf, ID, ROTATION_ID, rotationOf } from '../unit/api/fakes.ts';

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

const options = { timeout: 20_000, interval: 50 };

/** The agent of the example, as a process. */
function startAgent(
  api: { url: string },
  vault: { url: string },
  service: { url: string },
  ...more: readonly string[]
): { said: Promise<string>; complained: Promise<string>; ended: Promise<unknown>; stop: () => void } {
  const about = ['--api', api.url, '--agent', AGENT, '--credential', 'orders-db', '--work', service.url];
  const script = join(import.meta.dirname, '..', '..', 'examples', 'python', 'agent.py');
  const agent = spawn(venvPython(), [script, ...about, '--heartbeat', '0.5', ...more], {
    env: {
      PATH: process.env['PATH'],
      AWS_ENDPOINT_URL: vault.url,
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 's',
    },
  });
  return {
    said: text(agent.stdout),
    complained: text(agent.stderr),
    ended: new Promise((resolve) => agent.on('exit', resolve)),
    stop: () => void agent.kill('SIGTERM'),
  };
}

/** The agent API of an agent that holds `versionId`, with its pact registered. */
async function startApi(
  versionId: string,
): Promise<{ api: AgentServer; world: AgentApiWorld; store: MemoryAgentStore }> {
  const store = new MemoryAgentStore();
  const world = new AgentApiWorld(() => ({ agents: store, sealer: new MemorySealer() }));
  world.now = Date.now();
  const { current } = credentialOf();
  if (current === undefined) throw new Error('it is there');
  world.ledger.add(credentialOf({ holders: [holder()], current: { ...current, versionId } }));
  await world.pact({}, { uses: 'unreported' });
  const api = new AgentServer(world);
  await api.listen();
  return { api, world, store };
}

interface Service extends AsyncDisposable {
  readonly url: string;
  readonly users: string[];
  /** Answers with this, whoever calls; with `reset` not at all. */
  fault: 503 | 'reset' | undefined;
}

/** A service that takes whom the database takes, and says whom. */
async function startService(): Promise<Service> {
  const users: string[] = [];
  const server = createServer((request, response) => {
    if (service.fault === 'reset') return void request.socket.destroy();
    if (service.fault !== undefined) return void response.writeHead(service.fault).end();
    const basic = (request.headers.authorization ?? '').replace('Basic ', '');
    const [user = '', password = ''] = Buffer.from(basic, 'base64').toString().split(':');
    void isTaken(user, password).then((taken) => {
      if (taken) users.push(user);
      return response.writeHead(taken ? 200 : 401).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const service: Service = {
    users,
    fault: undefined,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/task`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return service;
}

it('an agent in Python moves under its work, proves it, and no login of it is refused', async () => {
  await sql("CREATE ROLE orders_a LOGIN PASSWORD 'first'");
  await sql("CREATE ROLE orders_b LOGIN PASSWORD 'second'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const old = vault.put(JSON.stringify({ username: 'orders_a', password: 'first' }), 'AWSCURRENT');
  const started = await startApi(old);
  const { world, store } = started;
  await using api = started.api;
  const { old: replaced } = rotationOf();
  if (replaced === undefined) throw new Error('it is there');

  const { said, complained, ended } = startAgent(api, vault, service, '--seconds', '8');
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
  expect(api.of('heartbeat').at(-1)?.signed).toMatchObject({
    holds: [{ credential: 'orders-db', versionId: next }],
  });
  expect(api.violations).toEqual([]);
  expect(api.signatures.every((each) => each.startsWith('AWS4-HMAC-SHA256 Credential=a/'))).toBe(true);
}, 60_000);

it('an agent in Python that starts halted holds nothing, and works once what replaces the credential is there', async () => {
  await sql("CREATE ROLE orders_c LOGIN PASSWORD 'third'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const current = vault.put(JSON.stringify({ username: 'orders_c', password: 'third' }), 'AWSCURRENT');
  const { api: started, world } = await startApi(current);
  await using api = started;
  const active = [...world.ledger.credentials.values()][0];
  if (active === undefined) throw new Error('it is there');
  world.ledger.add({ ...active, status: 'halted' });

  const agent = startAgent(api, vault, service);
  await vi.waitFor(() => expect(api.of('heartbeat').length).toBeGreaterThan(1), options);
  expect(api.of('heartbeat').map(({ status, signed }) => [status, signed['holds']])).toEqual(
    api.of('heartbeat').map(() => [200, []]),
  );
  expect(service.users).toEqual([]);

  world.ledger.add(active);
  await vi.waitFor(() => expect(service.users).toContain('orders_c'), options);
  const holds = [{ credential: 'orders-db', versionId: current }];
  await vi.waitFor(() => expect(api.of('heartbeat').at(-1)?.signed).toMatchObject({ holds }), options);
  agent.stop();
  expect([await agent.ended, await agent.complained]).toEqual([0, '']);
  expect(await agent.said).toMatch(/"refused": 0/);
  expect(api.of('close')).toMatchObject([{ status: 200 }]);
}, 60_000);

it('an agent in Python reads the vault by itself while the agent API is out, and opens its session later', async () => {
  await sql("CREATE ROLE orders_d LOGIN PASSWORD 'fourth'");
  await sql("CREATE ROLE orders_e LOGIN PASSWORD 'fifth'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  vault.put(JSON.stringify({ username: 'orders_d', password: 'fourth' }), 'AWSCURRENT');
  const next = vault.put(JSON.stringify({ username: 'orders_e', password: 'fifth' }), 'AWSPENDING');
  await using api = (await startApi(next)).api;
  api.mode = 'down';

  const byItself = ['--secret', 'orders-db', '--ttl', '1', '--stale-limit', '3'];
  const agent = startAgent(api, vault, service, ...byItself);
  await vi.waitFor(() => expect(service.users).toContain('orders_d'), options);
  vault.promote(next);
  await vi.waitFor(() => expect(service.users.at(-1)).toBe('orders_e'), options);

  // Neither the API nor the vault: it stops at its stale limit, and works on when the vault is back.
  vault.be('down');
  const done = async (ms: number): Promise<number> => {
    const before = service.users.length;
    await new Promise((resolve) => setTimeout(resolve, ms));
    return service.users.length - before;
  };
  // A try to read takes less than that.
  await vi.waitFor(async () => expect(await done(2500)).toBe(0), options);
  vault.be('up');
  await vi.waitFor(async () => expect(await done(500)).toBeGreaterThan(0), options);

  api.mode = 'up';
  await vi.waitFor(() => expect(api.of('heartbeat').at(-1)?.status).toBe(200), options);
  api.mode = 'down';
  agent.stop();
  expect([await agent.ended, await agent.complained]).toEqual([0, '']);
  expect(await agent.said).toMatch(/"close": "failed[^]*"refused": 0/);
}, 60_000);

it('an agent in Python whose login is refused looks at the vault at once, and does not storm', async () => {
  await sql("CREATE ROLE orders_f LOGIN PASSWORD 'sixth'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const current = vault.put(JSON.stringify({ username: 'orders_f', password: 'sixth' }), 'AWSCURRENT');
  const { api: started, world } = await startApi(current);
  await using api = started;
  const agent = startAgent(api, vault, service, '--heartbeat', '600');
  await vi.waitFor(() => expect(service.users).toContain('orders_f'), options);
  // From here on it looks by itself only when its login is refused.
  const holds = [{ credential: 'orders-db', versionId: current }];
  const held = (): unknown[] =>
    api.of('heartbeat').filter(({ signed }) => isDeepStrictEqual(signed['holds'], holds));
  await vi.waitFor(() => expect(held()).toHaveLength(1), options);
  await sql("ALTER ROLE orders_f PASSWORD 'seventh'");
  const next = vault.put(JSON.stringify({ username: 'orders_f', password: 'seventh' }), 'AWSCURRENT');
  const [known] = world.ledger.credentials.values();
  if (known?.current === undefined) throw new Error('it is there');
  world.ledger.add({ ...known, current: { ...known.current, versionId: next } });
  const before = service.users.length;
  await vi.waitFor(() => expect(service.users.length).toBeGreaterThan(before + 2), options);
  agent.stop();
  await agent.ended;
  expect(await agent.said).toMatch(/"refused": [12]\}/);
  expect(api.of('heartbeat').length).toBeLessThan(6);
}, 60_000);

it('an agent in Python works on when its service is back, and takes no failure of it for a refusal', async () => {
  await sql("CREATE ROLE orders_g LOGIN PASSWORD 'eighth'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const current = vault.put(JSON.stringify({ username: 'orders_g', password: 'eighth' }), 'AWSCURRENT');
  await using api = (await startApi(current)).api;
  const agent = startAgent(api, vault, service);
  await vi.waitFor(() => expect(service.users).toContain('orders_g'), options);
  for (const fault of [503, 'reset'] as const) {
    service.fault = fault;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    service.fault = undefined;
    const before = service.users.length;
    await vi.waitFor(() => expect(service.users.length).toBeGreaterThan(before), options);
  }
  agent.stop();
  expect([await agent.ended, await agent.complained]).toEqual([0, '']);
  const lines = (await agent.said).split('\n').filter((line) => line.includes('"work"'));
  expect(lines).toContain('{"work": "failed: 503"}');
  // One for each try, and tries are spaced.
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.length).toBeLessThan(9);
  expect(await agent.said).toMatch(/"refused": 0/);
  expect(api.of('close')).toMatchObject([{ status: 200 }]);
}, 60_000);

it('an agent in Python outside the canary cohort waits for the look, and not for the time alone', async () => {
  await sql("CREATE ROLE orders_h LOGIN PASSWORD 'ninth'");
  await sql("CREATE ROLE orders_i LOGIN PASSWORD 'tenth'");
  await using service = await startService();
  await using vault = await startSecretsManager('{}');
  const old = vault.put(JSON.stringify({ username: 'orders_h', password: 'ninth' }), 'AWSCURRENT');
  const value = JSON.stringify({ username: 'orders_i', password: 'tenth' });
  const next = vault.put(value, 'AWSPENDING');
  const { api: started, world, store } = await startApi(old);
  await using api = started;
  const agent = startAgent(api, vault, service, '--heartbeat', '4', '--ttl', '1');
  await vi.waitFor(() => expect(service.users).toContain('orders_h'), options);

  // Nobody is in the cohort. The server's time stands still a second before its end.
  const known = world.ledger.credentials.get(ID) ?? credentialOf();
  world.ledger.add({ ...known, policy: { ...known.policy, canary: { percent: 0, seconds: 1 } } });
  const { old: replaced } = rotationOf();
  if (replaced === undefined) throw new Error('it is there');
  const window = {
    opensAt: world.at(0),
    earliestClose: world.at(600),
    deadline: world.at(1200),
    cap: world.at(1800),
  };
  await world.openWindow({ window, old: { ...replaced, versionId: old } }, { versionId: next, value });
  const heard = api.of('heartbeat').length;
  await vi.waitFor(() => expect(api.of('heartbeat').length).toBeGreaterThan(heard), options);
  vault.promote(next);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect(service.users).not.toContain('orders_i');
  // It asks at `moveFrom`, before a heartbeat is due.
  expect(api.of('heartbeat').length).toBeGreaterThan(heard + 1);

  const rotation = world.ledger.rotationsById.get(ROTATION_ID) ?? rotationOf();
  world.ledger.rotationsById.set(ROTATION_ID, { ...rotation, canary: { at: world.at(1), outcome: 'quiet' } });
  await vi.waitFor(() => expect(store.said).toMatchObject([{ versionId: next }]), options);
  await vi.waitFor(() => expect(service.users).toContain('orders_i'), options);
  agent.stop();
  expect([await agent.ended, await agent.complained]).toEqual([0, '']);
  expect(await agent.said).toMatch(/"refused": 0/);
}, 60_000);

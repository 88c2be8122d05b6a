import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { sessionId } from '../../../shared/domain/agents.ts';
import { holder, pactOf } from '../../support/agent-api.ts';
import { credentialOf, eventOf, FakeLedger, fakeServices, type FakeServices } from '../api/fakes.ts';
import { rekey, startStandIn, type Ran, type Reply, type Seen, type StandIn } from './stand-in.ts';

/** The CLI against the routes of the control API, over a ledger and a store of agents in memory. */
let api: StandIn;
let services: FakeServices;
let folder: string;

beforeEach(async () => {
  api = await startStandIn();
  folder = await mkdtemp(join(tmpdir(), 'rekey-'));
  services = fakeServices(new FakeLedger().add(credentialOf({ holders: [holder()] })));
  const asked = async (seen: Seen): Promise<Reply> => {
    const { method, path, query, body } = seen;
    const event = eventOf(method, path, { query, ...(body === '' ? {} : { body }) });
    const { response } = await answer(event, services);
    return { status: response.statusCode ?? 500, text: response.body ?? '' };
  };
  for (const route of ['GET /v1/pacts', 'POST /v1/pacts', 'GET /v1/pacts/checkout', 'GET /v1/pacts/other'])
    api.routes[route] = asked;
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

async function applied(document: object | string, ...args: string[]): Promise<Ran> {
  const text = typeof document === 'string' ? document : stringify(document);
  await writeFile(join(folder, 'checkout.yaml'), text);
  return rekey(api, ['pacts', 'apply', 'checkout.yaml', ...args], { cwd: folder });
}

describe('rekey pacts apply', () => {
  it('says what would be registered, registers it, and finds it unchanged then', async () => {
    const dry = await applied(pactOf(), '--dry-run');
    expect(dry).toMatchObject({ exit: 0 });
    expect(dry.stdout).toContain('checkout: would be registered as version 1');
    expect(await services.agents.pact('checkout')).toBeUndefined();
    expect((await applied(pactOf())).stdout).toContain('checkout: registered as version 1');
    expect(await services.agents.pact('checkout')).toMatchObject({ version: 1 });
    expect((await applied(pactOf())).stdout).toContain('checkout: unchanged (version 1)');
  });

  it('names the operator, whatever role the agent runs as', async () => {
    await applied(pactOf());
    expect(await services.agents.pact('checkout')).toMatchObject({
      actor: 'arn:aws:sts::111122223333:assumed-role/Operator/alice',
    });
  });

  it('tells every mistake of form with its line, and sends nothing', async () => {
    const { exit, stderr } = await applied(pactOf({ agent: 'a b' }, { ttl: '15' }));
    expect(exit).toBe(1);
    expect(stderr).toMatch(/checkout\.yaml:2:1: agent: /);
    expect(stderr).toMatch(/checkout\.yaml:\d+:5: credentials\[0\]\.ttl: /);
    expect(stderr).toContain('2 errors in the file; nothing was sent');
    expect(api.seen).toEqual([]);
    expect((await applied('a: [')).stderr).toContain('docs/pact.schema.json');
    expect((await rekey(api, ['pacts', 'apply', 'none.yaml'], { cwd: folder })).exit).toBe(2);
  });

  it('tells what the declaration does not bear with its line, and changes nothing', async () => {
    const { exit, stderr } = await applied(pactOf({}, { ttl: '16m' }));
    expect(exit).toBe(1);
    expect(stderr).toMatch(
      /checkout\.yaml:\d+:5: a ttl of 960 s is more than half of the window of orders-db \(1800 s\)/,
    );
    expect(stderr).toContain('nothing was changed');
    expect(await services.agents.pact('checkout')).toBeUndefined();
  });
});

describe('rekey pacts', () => {
  it('lists what is registered, or says that nothing is', async () => {
    expect((await rekey(api, ['pacts'])).stdout).toContain('No agent has registered a pact yet');
    await applied(pactOf());
    const { stdout } = await rekey(api, ['pacts']);
    expect(stdout).toMatch(/checkout\s+1\s+orders-db\s+8h/);
    const { pacts } = JSON.parse((await rekey(api, ['pacts', '--json'])).stdout) as { pacts: object[] };
    expect(pacts).toMatchObject([{ agent: 'checkout', version: 1 }]);
  });

  it('shows one with the sessions of its agent, and which of them are lost', async () => {
    await applied(pactOf({}, { delegates: [] }));
    const opened = (instance: string, at: string) =>
      services.agents.openSession({
        agent: 'checkout',
        id: sessionId(instance, 't', 'n'),
        instance,
        key: { kind: 'public', jwk: {} },
        thumbprint: 't',
        openedAt: at,
        seenAt: at,
        holds: [{ credential: 'orders-db', versionId: 'b0d3c1aa-5f0e' }],
        keptUntil: '2026-11-23T12:00:00.000Z',
      });
    services.agents.silent.add('host-2');
    await opened('host-1', '2026-11-22T11:59:30.000Z');
    await opened('host-2', '2026-11-22T10:00:00.000Z');
    const { stdout } = await rekey(api, ['pacts', 'show', 'checkout']);
    expect(stdout).toMatch(/orders-db\s+in a session\s+15m\s+1h\s+reported\s+–/);
    expect(stdout).toMatch(/host-1\s+running .*orders-db b0d3c1aa/);
    expect(stdout).toMatch(/host-2\s+lost /);
  });

  it('names an agent without one', async () => {
    const { exit, stderr } = await rekey(api, ['pacts', 'show', 'other']);
    expect(exit).toBe(1);
    expect(stderr).toContain('the agent "other" has no pact');
  });
});

import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deployHook } from '../../../examples/deploy-hook/hook.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { qdrantStaticProvider as provider } from '../../../shared/providers/qdrant-static/provider.ts';
import { FakeQdrant } from '../../fakes/qdrant.ts';

const TOKEN = 'token-of-the-hook-0123456789abcdefghij';

describe('the deploy hook of the examples', () => {
  let dir = '';
  let qdrant: FakeQdrant;
  let server: Server;
  let deployments: number;
  let failures: number;

  const hookUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const target = () => provider.target({ label: 'search', access: 'manage', baseUrl: qdrant.server.url });
  const context = (generation = 1): IssueContext => ({
    clock: Date.now,
    generation,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    admin: async () => {
      const admin = { hookUrl: hookUrl(), hookToken: TOKEN, keySeeds: ['s'.repeat(32)] };
      return Promise.resolve(new Redacted(JSON.stringify({ ...admin, baseUrl: qdrant.server.url })));
    },
  });
  const issue = async (generation: number) => {
    const token = randomUUID();
    const issued = await provider.issue(target(), token, context(generation));
    await provider.activate?.(target(), token, issued, context());
    return { handle: issued.handle, value: issued.material.reveal().apiKey };
  };
  const revoke = async ({ handle }: Awaited<ReturnType<typeof issue>>) =>
    provider.revoke(target(), handle, { endSessions: true }, context());
  const takes = async ({ value }: { value: string }) =>
    (await fetch(`${qdrant.server.url}/collections`, { headers: { 'api-key': value } })).ok;
  /** Starts the hook, as after its death. */
  const start = async (): Promise<void> => {
    const serve = deployHook({
      token: TOKEN,
      file: join(dir, 'keys.json'),
      places: 2,
      needsValue: true,
      async deploy([first, second]) {
        await sleep(100);
        if (failures-- > 0) throw new Error('the deployment failed');
        deployments++;
        qdrant.restart({ apiKey: first?.value ?? randomUUID(), altApiKey: second?.value, jwtRbac: false });
      },
    });
    server = createServer((request, response) => void serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  };
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rekey-hook-'));
    qdrant = await FakeQdrant.start({ apiKey: randomUUID(), jwtRbac: false });
    [deployments, failures] = [0, 0];
    await start();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await stop();
    await qdrant[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  });

  it('leads a server through rotations: both keys work, then the old one is dead', async () => {
    expect(await provider.preflight(target(), context())).toEqual([]);
    const first = await issue(1);
    const second = await issue(2);
    expect([await takes(first), await takes(second)]).toEqual([true, true]);
    await expect(issue(3)).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
    expect(await revoke(first)).toMatchObject({ confirmed: true, method: 'negative-authentication' });
    expect([await takes(first), await takes(second)]).toEqual([false, true]);
    const third = await issue(3);
    expect((await revoke(first)).confirmed).toBe(true);
    expect([await takes(second), await takes(third), deployments]).toEqual([true, true, 4]);
  });

  it('knows after its death what it was asked for before', async () => {
    const first = await issue(1);
    await stop();
    await start();
    expect(await provider.list?.(target(), context())).toMatchObject([{ id: first.handle.id }]);
    expect((await revoke(first)).confirmed).toBe(true);
    expect((await stat(join(dir, 'keys.json'))).mode & 0o777).toBe(0o600);
  });

  it('tries a deployment that failed again with the next request', async () => {
    const logged = vi.spyOn(console, 'error').mockReturnValue();
    failures = 2;
    const first = await issue(1);
    expect(await takes(first)).toBe(true);
    expect(logged).toHaveBeenCalledTimes(2);
    expect(JSON.stringify(logged.mock.calls)).not.toContain(first.value);
  });

  it('refuses a key that is not complete, and keeps nothing of it', async () => {
    const [authorization, value] = [`Bearer ${TOKEN}`, 'v'.repeat(43)];
    const sha256 = createHash('sha256').update(value).digest('hex');
    const whole = { name: 'rekey.search.1.x', access: 'manage', sha256, value };
    const put = async (body: string) =>
      fetch(`${hookUrl()}/keys/one`, { method: 'PUT', headers: { authorization }, body });
    for (const field of Object.keys(whole)) {
      const refused = await put(JSON.stringify({ ...whole, [field]: undefined }));
      expect([refused.status, await refused.text()]).toEqual([
        400,
        expect.stringContaining(`${field} is missing`),
      ]);
    }
    for (const body of ['', 'null', 'no', JSON.stringify({ ...whole, value: 'another' })])
      expect((await put(body)).status).toBe(400);
    const listed = await fetch(`${hookUrl()}/keys`, { headers: { authorization } });
    expect(await listed.json()).toEqual({ keys: [], places: 2 });
    expect(deployments).toBe(0);
    expect((await put(JSON.stringify(whole))).status).toBe(202);
  });

  it('answers nobody without its token', async () => {
    for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, TOKEN])
      expect((await fetch(`${hookUrl()}/keys`, { headers: { authorization } })).status).toBe(401);
    expect(deployments).toBe(0);
  });
});

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer as createHttps, request } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  certificateAgent,
  createCertificates,
  peerId,
  type Certificates,
  type CertificatesOptions,
} from '../../../client/src/tls.ts';
import { authorityId } from '../../../client/src/tls/bundle.ts';
import { idIn } from '../../../client/src/tls/peer.ts';
import { requestFor } from '../../../client/src/tls/request.ts';
import { keyIdOf, spkiOf } from '../../../shared/x509/asn1.ts';
import { parseRequest } from '../../../shared/x509/request.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { AGENT } from '../../support/agent-api.ts';
import { answering } from '../../support/answering.ts';
import { IssuingServer } from '../../support/issuing-server.ts';
import { IssuingWorld, SET, type LocalAuthority } from '../../support/issuing.ts';
import { openssl } from '../../support/openssl.ts';

const ID = `spiffe://agents.shop.example/agent/${AGENT}`;
const HOUR = 3600;

async function begin(changes: Partial<IssuingWorld> = {}) {
  const world = Object.assign(new IssuingWorld(), changes);
  const [first, second] = [await world.authority(), await world.authority()];
  await world.issueFrom(first, [second]);
  const api = await IssuingServer.start(world);
  onTestFinished(async () => api[Symbol.asyncDispose]());
  const certificates = async (more: Partial<CertificatesOptions> = {}): Promise<Certificates> => {
    const made = await createCertificates({ ...api.options, ...more });
    onTestFinished(() => made.close());
    return made;
  };
  return { world, api, first, second, certificates };
}

/** The same with clocks that the test moves: the server's is that of its world, the client's hears of it. */
async function timed(more: Partial<CertificatesOptions> = {}, cacheSeconds = HOUR) {
  const begun = await begin({ times: { cacheSeconds, skewSeconds: 300 } });
  const { fetch, answered } = answering();
  const time = new FakeTime(answered);
  const { world } = begun;
  const certificates = await begun.certificates({ fetch, ...more, time });
  const pass = async (seconds: number): Promise<void> => {
    world.now += seconds * 1000;
    await time.pass(seconds);
  };
  return { ...begun, time, pass, certificates };
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A server of mutual TLS that tells each client who it is. */
async function greeting(certificates: Certificates): Promise<number> {
  const server = createServer(certificates.serverOptions(), (socket) => {
    socket.on('error', () => undefined);
    socket.end(peerId(socket) ?? 'nobody');
  });
  certificates.serve(server);
  return portOf(server);
}

/** What a server says, once its certificate was taken. */
async function said(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('end', () => (text === '' ? reject(new Error('turned away')) : resolve(text)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
  });
}

describe('a request for a certificate', () => {
  it.each(['P-256', 'Ed25519'] as const)(
    'for a %s key is one that openssl and the agent API take',
    (kind) => {
      const { csr, key } = requestFor(kind);
      expect(openssl(['req', '-in', 'csr.pem', '-noout', '-verify'], { 'csr.pem': csr }).output).toContain(
        'verify OK',
      );
      expect(parseRequest(csr).publicKey.equals(createPublicKey(key))).toBe(true);
    },
  );
});

describe('the SPIFFE id of a certificate', () => {
  it.each([
    [`URI:${ID}`, ID],
    [`DNS:orders.internal, URI:${ID}`, ID],
    [undefined, undefined],
    ['', undefined],
    ['DNS:orders.internal', undefined],
    [`URI:${ID}, URI:spiffe://agents.shop.example/agent/search`, undefined],
    [`DNS:"x, URI:${ID}, y"`, undefined],
    ['URI:spiffe://agents.shop.example', undefined],
    ['URI:https://agents.shop.example/agent/checkout', undefined],
  ])('in %s is %s', (names, id) => {
    expect(idIn(names)).toBe(id);
  });
});

describe('certificates of a process', () => {
  it('say which authorities they trust, by the ids that Rekey has for them', async () => {
    const { first, second, certificates } = await begin();
    expect(await (await certificates()).seen()).toEqual([first.id, second.id]);
  });

  it.each([
    ['RSA of 4,096 bits', generateKeyPairSync('rsa', { modulusLength: 4096 }).publicKey],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
  ])('call an authority by its key, whatever kind it is of: %s', (_kind, publicKey) => {
    const id = Buffer.from(keyIdOf(spkiOf(publicKey))).toString('hex');
    expect(authorityId({ publicKey })).toBe(id);
  });

  it('let both ends of a connection know each other, and nobody else in', async () => {
    const { certificates } = await begin();
    const [server, client] = [await certificates({ instance: 'a' }), await certificates({ instance: 'b' })];
    const port = await greeting(server);
    const at = { host: '127.0.0.1', port };
    expect(await said(client.connect(`${ID}/a`, at))).toBe(`${ID}/b`);
    expect(await said(client.connect((id) => id.startsWith(`${ID}/`), at))).toBe(`${ID}/b`);
    await expect(said(client.connect(`${ID}/c`, at))).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    const { ca, checkServerIdentity } = client.clientOptions(`${ID}/a`);
    await expect(said(connect({ ...at, ca, checkServerIdentity }))).rejects.toThrow();
    const other = await begin();
    const stranger = await other.certificates();
    await expect(said(stranger.connect(`${ID}/a`, at))).rejects.toThrow(/certificate/);
    const { key, cert } = stranger.clientOptions(ID);
    await expect(said(connect({ ...at, ca, checkServerIdentity, key, cert }))).rejects.toThrow();
  });

  it('are for a key that was made here and that nobody is sent, another one each time', async () => {
    const { api, certificates } = await begin();
    const made = await certificates();
    const first = made.current();
    await made.renewNow();
    expect(made.current().serial).not.toBe(first.serial);
    expect(JSON.stringify(api.asked)).not.toContain('PRIVATE');
    const keys = api.asked.map(({ csr }) => parseRequest(csr).fingerprint);
    expect(new Set(keys).size).toBe(2);
    expect(JSON.stringify([made, made.current()])).not.toContain('PRIVATE');
  });

  it('are renewed at half of their life, by the clock of the server, with another key', async () => {
    const renewed: string[] = [];
    const { certificates, pass } = await timed({ on: { renewed: ({ serial }) => renewed.push(serial) } });
    const { serial } = certificates.current();
    await pass(12 * HOUR - 10);
    expect(certificates.current().serial).toBe(serial);
    await pass(20);
    expect(certificates.current().serial).not.toBe(serial);
    expect(renewed).toEqual([serial, certificates.current().serial]);
    await pass(12 * HOUR);
    expect(renewed).toHaveLength(3);
  });

  it('stay in use while no other can be had, are asked for again and again, and end at their end', async () => {
    const failures: string[] = [];
    const { certificates, api, pass } = await timed({
      staleLimitSeconds: 10 * 86_400,
      on: { renewalFailed: ({ error }) => failures.push(error.code) },
    });
    const { serial } = certificates.current();
    api.trouble = { certificates: { kind: 503 } };
    await pass(12 * HOUR + 60);
    expect(certificates.current().serial).toBe(serial);
    expect(failures.length).toBeGreaterThan(2);
    expect(new Set(failures)).toEqual(new Set(['ERR_UNAVAILABLE']));
    // One request, however often: it may have been answered.
    expect(new Set(api.asked.map(({ csr }) => csr)).size).toBe(1);
    api.trouble = {};
    await pass(90);
    expect(certificates.current().serial).not.toBe(serial);
    api.trouble = { certificates: { kind: 403 } };
    // Timers of a whole day, one after the other, are not what this is about.
    api.world.now += 25 * HOUR * 1000;
    await expect(certificates.renewNow()).rejects.toMatchObject({ code: 'ERR_DENIED' });
    expect(() => certificates.current()).toThrow(expect.objectContaining({ code: 'ERR_STALE' }));
    expect(() => certificates.clientOptions(ID)).toThrow(expect.objectContaining({ code: 'ERR_STALE' }));
  });

  it('of two days bear that all of Rekey is stopped for a day, also where it began just before a renewal', async () => {
    const begun = await begin({ leafSeconds: 48 * HOUR, times: { cacheSeconds: HOUR, skewSeconds: 300 } });
    const { fetch, answered } = answering();
    const time = new FakeTime(answered);
    const certificates = await begun.certificates({ fetch, time });
    const { bundle } = certificates;
    const pass = async (seconds: number): Promise<void> => {
      begun.world.now += seconds * 1000;
      await time.pass(seconds);
    };
    time.chance = 1;
    await pass(24 * HOUR - 60);
    const { serial } = certificates.current();
    expect(begun.api.asked).toHaveLength(1);
    begun.api.trouble = { certificates: { kind: 503 }, bundles: { kind: 503 } };
    await pass(24 * HOUR);
    expect(certificates.current().serial).toBe(serial);
    expect(certificates.bundle).toBe(bundle);
    begun.api.trouble = {};
    await pass(120);
    expect(certificates.current().serial).not.toBe(serial);
  });

  it('are the same where the answer was lost: the same request gives the same certificate', async () => {
    const { api, certificates } = await begin();
    const made = await certificates();
    api.trouble = { certificates: { kind: 'lose-answer', times: 1 } };
    await expect(made.renewNow()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    await made.renewNow();
    const [, lost, again] = api.asked;
    expect(again).toEqual(lost);
    // What was issued, as the store of the test keeps it: no port of the product lists it.
    expect(made.current().serial).toBe(
      [...(api.world.leaves as unknown as { byKey: Map<string, { serial: string }> }).byKey.values()][1]
        ?.serial,
    );
  });

  it.each<readonly [string, (body: Record<string, unknown>, first: string) => Record<string, unknown>]>([
    ['for another key', (body, first) => ({ ...body, certificate: first })],
    ['for another name than it says', (body) => ({ ...body, id: `${ID}/other` })],
    ['without a form', (body) => ({ ...body, certificate: 'text' })],
    ['without a time', (body) => ({ ...body, renewAt: 'soon' })],
  ])('%s are not taken: the present one stays', async (_what, change) => {
    const { api, certificates } = await begin();
    const made = await certificates();
    const { serial, certificate } = made.current();
    api.tamper = (body) => change(body, certificate);
    await expect(made.renewNow()).rejects.toMatchObject({ code: 'ERR_VALUE' });
    expect(made.current().serial).toBe(serial);
  });

  it('wait for the first one, and say at once where waiting is pointless', async () => {
    const { api, world, second, certificates } = await begin();
    api.trouble = { certificates: { kind: 503, times: 1 }, bundles: { kind: 500, times: 1 } };
    await expect(certificates()).resolves.toBeDefined();
    // The answer is lost, and in the meantime the authority has ended that would have given the same again.
    api.trouble = { certificates: { kind: 'lose-answer', times: 1 } };
    const waiting = certificates();
    await vi.waitUntil(() => api.trouble.certificates?.times === 0);
    await world.issueFrom(second, [await world.authority()]);
    await expect(waiting).resolves.toBeDefined();
    await expect(certificates({ credential: 'nothing' })).rejects.toMatchObject({ code: 'ERR_DENIED' });
    api.trouble = { certificates: { kind: 503 } };
    await expect(certificates({ firstSeconds: 1 })).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    await expect(certificates({ firstSeconds: 0 })).rejects.toMatchObject({
      code: 'ERR_OPTIONS',
      field: 'firstSeconds',
    });
  });
});

describe('the trust bundle of a process', () => {
  it('is read again as often as the directory says, and sent only where it has changed', async () => {
    const changes: string[] = [];
    const { certificates, api, world, first, second, pass } = await timed(
      { on: { bundleChanged: (pem) => changes.push(pem) } },
      300,
    );
    await pass(301);
    await pass(301);
    expect(api.read).toEqual([200, 304, 304]);
    const third = await world.authority();
    await world.issueFrom(second, [third], [[first, 'live']]);
    await pass(301);
    expect(api.read.at(-1)).toBe(200);
    expect(changes).toHaveLength(1);
    for (const { pem } of [first, second, third]) expect(certificates.bundle).toContain(pem);
  });

  it('is believed while it can not be read, up to its limit; past it nobody is trusted', async () => {
    const { certificates, api, pass } = await timed({ staleLimitSeconds: 2 * HOUR }, 600);
    const { bundle } = certificates;
    api.trouble = { bundles: { kind: 503 } };
    await pass(HOUR);
    expect(certificates.bundle).toBe(bundle);
    await pass(HOUR + 600);
    expect(certificates.bundle).toBe('');
    expect(certificates.clientOptions(ID).ca).toEqual([]);
    api.trouble = {};
    await pass(601);
    expect(certificates.bundle).toBe(bundle);
  });

  it('is kept where it was called outdated and can not be read, for a bounded time, and asked for less and less often', async () => {
    const failures: string[] = [];
    const { certificates, api, world, second, time, pass } = await timed({
      on: { bundleFailed: ({ code }) => failures.push(code) },
    });
    const { bundle } = certificates;
    api.trouble = { bundles: { kind: 429 } };
    time.chance = 0.5;
    await certificates.expire();
    await pass(50);
    expect(certificates.bundle).toBe(bundle);
    expect(failures.length).toBeGreaterThan(5);
    expect(failures.length).toBeLessThan(12);
    // Another event makes it no longer.
    await certificates.expire();
    expect(certificates.bundle).toBe(bundle);
    await pass(11);
    expect(certificates.bundle).toBe('');
    await world.issueFrom(second, [await world.authority()]);
    api.trouble = {};
    await pass(11);
    expect(certificates.bundle).toContain(second.pem);
    // What was read again counts as long as anything: the bound is over.
    const again = certificates.bundle;
    api.trouble = { bundles: { kind: 503 } };
    await pass(120);
    expect(certificates.bundle).toBe(again);
  });

  it('that lost the authority of many certificates at once has them replaced one after the other', async () => {
    const { certificates, api, world, second, time, pass } = await timed();
    await world.issueFrom(second, [await world.authority()]);
    time.chance = 0.8;
    const before = api.asked.length;
    await certificates.expire();
    await pass(3);
    expect(api.asked).toHaveLength(before);
    await pass(2);
    expect(certificates.current().authority).toBe(second.id);
  });

  it('without the authority of the present certificate has another certificate made at once', async () => {
    const { certificates, world, second, pass } = await timed({}, 300);
    const { authority } = certificates.current();
    await world.issueFrom(second, [await world.authority()]);
    await pass(301);
    await pass(1);
    expect(certificates.current().authority).not.toBe(authority);
    expect(certificates.current().authority).toBe(second.id);
  });

  it.each(['server', 'client'] as const)(
    'of a %s ends connections that are open, once nobody vouches for their other end',
    async (end) => {
      const { certificates, world, second } = await begin();
      const [server, client] = [await certificates(), await certificates()];
      const listening = createServer(server.serverOptions(), (socket) => socket.on('error', () => undefined));
      server.serve(listening);
      const at = { host: '127.0.0.1', port: await portOf(listening) };
      const open = client.connect(ID, at);
      open.on('error', () => undefined);
      await new Promise((resolve) => open.once('secureConnect', resolve));
      await world.issueFrom(second, [await world.authority()]);
      const closed = new Promise((resolve) => open.once('close', resolve));
      await (end === 'server' ? server : client).expire();
      await closed;
      for (const each of [server, client]) {
        await each.expire();
        await each.renewNow();
      }
      const again = client.connect(ID, at);
      await new Promise((resolve, reject) => again.once('secureConnect', resolve).once('error', reject));
      expect(peerId(again)).toBe(ID);
      again.destroy();
    },
  );
});

describe('connections that an agent of HTTPS keeps', () => {
  it('are not those of an earlier certificate, also where they were in use when it changed', async () => {
    const { certificates } = await begin();
    const [server, client] = [await certificates(), await certificates()];
    const answers: (() => void)[] = [];
    const listening = createHttps(server.serverOptions(), ({ socket }, response) => {
      const { serialNumber } = (socket as TLSSocket).getPeerCertificate();
      answers.push(() => response.end(serialNumber.toLowerCase()));
    });
    const port = await portOf(listening);
    const agent = certificateAgent(client, ID);
    onTestFinished(() => agent.destroy());
    const shown = async (meanwhile: () => Promise<void>): Promise<string> => {
      const asked = request({ host: '127.0.0.1', port, agent });
      const answer = new Promise<string>((resolve, reject) => {
        asked.on('error', reject).on('response', (response) => {
          response.on('data', (chunk) => resolve(String(chunk)));
        });
      });
      asked.end();
      await vi.waitUntil(() => answers.length > 0);
      await meanwhile();
      answers.pop()?.();
      return answer;
    };
    const before = client.current().serial;
    expect(await shown(async () => client.renewNow())).toBe(before);
    expect(await shown(async () => Promise.resolve())).toBe(client.current().serial);
    expect(client.current().serial).not.toBe(before);
  });
});

describe('certificates under load', () => {
  it('lose no handshake through a rotation, and work again after an emergency, over HTTPS with connections kept or not', async () => {
    // Room on a machine that is busy: they count in whole seconds, and are renewed at half.
    const { world, first, second, certificates } = await begin({
      leafSeconds: 10,
      times: { cacheSeconds: 1, skewSeconds: 2 },
    });
    const clock = setInterval(() => (world.now = Date.now()), 20);
    onTestFinished(() => clearInterval(clock));
    const [server, client] = [
      await certificates({ instance: 'server' }),
      await certificates({ instance: 'client' }),
    ];
    const listening = createHttps(server.serverOptions(), (_request, response) => {
      response.end(peerId(response.socket as TLSSocket));
    });
    server.serve(listening);
    const port = await portOf(listening);
    const agent = certificateAgent(client, `${ID}/server`);
    onTestFinished(() => agent.destroy());
    const once = async (keepsAlive: boolean): Promise<string> =>
      new Promise((resolve, reject) => {
        const kept = keepsAlive
          ? { agent }
          : { agent: false as const, ...client.clientOptions(`${ID}/server`) };
        const asked = request({ host: '127.0.0.1', port, ...kept }, (response) => {
          let text = '';
          response.on('data', (chunk) => (text += String(chunk)));
          response.on('end', () => resolve(text));
        });
        asked.on('error', reject);
        asked.end();
      });
    let handshakes = 0;
    const failures: unknown[] = [];
    let isOver = false;
    onTestFinished(() => void (isOver = true));
    const load = Array.from({ length: 3 }, async (_each, at) => {
      while (!isOver) {
        await once(at === 0).then(
          (text) => expect(text).toBe(`${ID}/client`),
          (error: unknown) => failures.push(error),
        );
        handshakes++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    let [current, next]: [LocalAuthority, LocalAuthority] = [first, second];
    const wait = async (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    [current, next] = [second, await world.authority()];
    await world.issueFrom(current, [next], [[first, 'live']]);
    // As long as a leaf lives, clocks are apart, and caches keep what they have read.
    await wait(13);
    await world.issueFrom(current, [next]);
    await wait(1);
    expect(failures).toEqual([]);
    // Agents halt: in an emergency everybody reads at once, between two requests.
    isOver = true;
    await Promise.all(load);
    // None that was asked for before the emergency is answered after it.
    await Promise.all([server.renewNow(), client.renewNow()]);
    [current, next] = [next, await world.authority()];
    await world.issueFrom(current, [next]);
    await Promise.all([server.expire(), client.expire()]);
    await Promise.all([server.renewNow(), client.renewNow()]);
    expect(await once(false)).toBe(`${ID}/client`);
    expect(server.current().authority).toBe(current.id);
    expect(handshakes).toBeGreaterThan(100);
    expect(new X509Certificate(client.current().certificate).subjectAltName).toBe(`URI:${ID}/client`);
    expect((await world.directory.read({ kind: 'bundles', name: SET }))?.entries).toHaveLength(2);
  }, 60_000);
});

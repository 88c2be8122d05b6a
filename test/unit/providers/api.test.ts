import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ANYTHING, Api, type Caller } from '../../../shared/providers/http/api.ts';
import { UpstreamServer, type Reply } from '../../fakes/upstream.ts';

const CALL = { method: 'POST', path: '/keys?page=1', answer: ANYTHING } as const;

function apiOf(baseUrl: string, caller: Caller = 'admin', login = 'Bearer sk-1'): Api {
  const reach = { privateHosts: ['127.0.0.1'], timeoutMs: 2000 };
  const page = 'docs/providers/example.md';
  return new Api({
    name: 'Example',
    page,
    baseUrl,
    reach,
    caller,
    field: 'target.baseUrl',
    headers: { authorization: login },
  });
}

describe('the API of an upstream', () => {
  let server: UpstreamServer;
  let answer: Reply;
  beforeAll(async () => {
    server = await UpstreamServer.start(() => answer);
  });
  afterAll(async () => server[Symbol.asyncDispose]());

  it.each([
    [300, 'ERR_REJECTED'],
    [400, 'ERR_REJECTED'],
    [401, 'ERR_ADMIN_DENIED'],
    [403, 'ERR_ADMIN_DENIED'],
    [404, 'ERR_NOT_FOUND'],
    [408, 'ERR_UNAVAILABLE'],
    [409, 'ERR_CONFLICT'],
    [422, 'ERR_REJECTED'],
    [425, 'ERR_UNAVAILABLE'],
    [429, 'ERR_UNAVAILABLE'],
    [500, 'ERR_UNAVAILABLE'],
    [504, 'ERR_UNAVAILABLE'],
  ])('tells of %i as %s, without the query', async (status, code) => {
    answer = { status };
    const message = expect.stringMatching(/^Example answers \d+ to POST \/keys(?!\?)/);
    await expect(apiOf(server.url).call(CALL)).rejects.toMatchObject({ code, message });
  });

  it('points to the page of the provider where Rekey’s own login is refused', async () => {
    answer = { status: 401 };
    const remedy = expect.stringContaining('docs/providers/example.md');
    await expect(apiOf(server.url).call(CALL)).rejects.toMatchObject({ remedy });
  });

  it('takes no room for a refusal of its own, whatever the status', async () => {
    answer = { status: 403, body: { code: 'quota' } };
    const full = z.object({ code: z.literal('quota') });
    await expect(apiOf(server.url).call({ ...CALL, full })).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
    answer = { status: 403, body: { code: 'other' } };
    const denied = apiOf(server.url).call({ ...CALL, full });
    await expect(denied).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
  });

  it('reads a wait that is given as a date by the clock of the upstream', async () => {
    const date = 'Wed, 21 Oct 2015 07:28:00 GMT';
    const headers = { date, 'retry-after': 'Wed, 21 Oct 2015 07:30:00 GMT' };
    answer = { status: 429, headers };
    await expect(apiOf(server.url).call(CALL)).rejects.toThrow('asks to wait 120 s');
    server.fail({ kind: 'reply', status: 429, headers: { date, 'retry-after': date } });
    answer = { status: 200, body: {} };
    expect(await apiOf(server.url).call(CALL)).toEqual({});
  });

  it.each([
    ['admin', 'ERR_ADMIN_DENIED'],
    ['agent', 'ERR_REJECTED'],
  ] as const)('sends no login of the %s that no header takes', async (caller, code) => {
    const before = server.asked.length;
    for (const login of ['Bearer sk-canary\n', 'Bearer sk-canary\r\nx-evil: 1', 'Bearer sk-canary✓']) {
      const error: unknown = await apiOf(server.url, caller, login)
        .call(CALL)
        .catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('canary');
    }
    expect(server.asked.length).toBe(before);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
    ['a beginning for ever', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['less than it says', 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
    ['endless headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`],
  ])('comes to an end where the answer is %s', async (_what, bytes) => {
    const raw = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(bytes);
        if (bytes.includes('close')) socket.end();
      });
    });
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    const { port } = raw.address() as { port: number };
    try {
      await expect(apiOf(`http://127.0.0.1:${port}`).call(CALL)).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
    } finally {
      raw.close();
    }
  });
});

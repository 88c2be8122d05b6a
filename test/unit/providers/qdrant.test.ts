import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { qdrantProvider } from '../../../shared/providers/qdrant/provider.ts';
import { qdrantCase } from '../../contract/cases/qdrant.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeQdrant } from '../../fakes/qdrant.ts';

const API_KEY = 'qdrant-server-key-9876543210abcdefghij';
const DAY = 86_400;

describe('Qdrant that is self-run', () => {
  describeProvider('Qdrant', keyHarness(qdrantCase()));
  describeKeyFaults('Qdrant', qdrantCase());

  describe('has of its own', () => {
    let one: FakeQdrant;
    const target = (declared: object = {}) =>
      qdrantProvider.target({
        label: 'search',
        rules: [{ collection: 'documents', access: 'read' }],
        baseUrl: one.server.url,
        ...declared,
      });
    const context = (generation = 1, apiKey = API_KEY): IssueContext => ({
      clock: Date.now,
      generation,
      intervalSeconds: 14 * DAY,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () => Promise.resolve(new Redacted(JSON.stringify({ apiKey, baseUrl: one.server.url }))),
    });
    const issue = async (declared: object = {}, generation = 1) =>
      qdrantProvider.issue(target(declared), randomUUID(), context(generation));
    const ask = async (path: string, key: string, init: RequestInit = {}) =>
      (await fetch(`${one.server.url}${path}`, { ...init, headers: { 'api-key': key } })).status;
    const claimsOf = (token: string) =>
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

    beforeEach(async () => {
      one = await FakeQdrant.start({ apiKey: API_KEY });
    });
    afterEach(async () => one[Symbol.asyncDispose]());

    it.for([
      [undefined, 'target.rules: is missing'],
      [[], 'must not be empty'],
      [[{ collection: 'documents' }], 'access'],
      [[{ access: 'read' }], 'collection'],
      [[{ collection: 'documents', access: 'manage' }], 'access'],
      [[{ collection: '*', access: 'read-write' }], 'must be read for *'],
      [[{ collection: 'rekey_tokens', access: 'read-write' }], 'brings revoked tokens back'],
      [[{ collection: 'documents', access: 'read', payload: { tenant: '7' } }], 'payload'],
      [
        [
          { collection: '*', access: 'read' },
          { collection: 'documents', access: 'read-write' },
        ],
        '* alone',
      ],
    ] as const)('rules that have to be declared, and make sense: %j is refused', ([rules, said]) => {
      expect(() => target({ rules })).toThrow(said);
    });

    it('tokens that may do what is declared and nothing more, for as long as they may be needed', async () => {
      const rules = [
        { collection: 'documents', access: 'read' },
        { collection: 'memories', access: 'read-write' },
      ];
      const { handle, material } = await issue({ rules });
      const token = material.reveal().apiKey;
      expect(claimsOf(token)).toEqual({
        exp: expect.any(Number) as number,
        access: [
          { collection: 'documents', access: 'r' },
          { collection: 'memories', access: 'rw' },
        ],
        value_exists: { collection: 'rekey_tokens', matches: [{ key: 'token', value: handle.id }] },
        subject: expect.stringMatching(/^rekey\.search\.1\./) as string,
      });
      const lives = Number(claimsOf(token)['exp']) - Date.now() / 1000;
      expect(Math.round(lives / DAY)).toBe(44);
      const [put, body] = ['PUT', JSON.stringify({ points: [] })];
      expect([
        await ask('/collections/documents/exists', token),
        await ask('/collections/documents/points?wait=true', token, { method: put, body }),
        await ask('/collections/memories/points?wait=true', token, { method: put, body }),
        await ask('/collections/rekey_tokens/points?wait=true', token, { method: put, body }),
        await ask('/collections/other/exists', token),
        await ask('/collections/new', token, { method: put, body: '{}' }),
      ]).toEqual([200, 403, 200, 403, 403, 403]);
    });

    it('access to read all of the server where that is declared', async () => {
      const { material } = await issue({ rules: [{ collection: '*', access: 'read' }] });
      const token = material.reveal().apiKey;
      expect(claimsOf(token)['access']).toBe('r');
      await qdrantProvider.verify(
        target({ rules: [{ collection: '*', access: 'read' }] }),
        material,
        context(),
      );
      const body = JSON.stringify({ points: [] });
      expect(await ask('/collections/documents/points?wait=true', token, { method: 'PUT', body })).toBe(403);
    });

    it('a revocation that the server itself confirms, and that no other token feels', async () => {
      const first = await issue();
      const second = await issue({}, 2);
      const done = await qdrantProvider.revoke(target(), first.handle, { endSessions: true }, context());
      expect(done).toMatchObject({ confirmed: true, method: 'negative-authentication' });
      expect([
        await ask('/collections/documents/exists', first.material.reveal().apiKey),
        await ask('/collections/documents/exists', second.material.reveal().apiKey),
      ]).toEqual([401, 200]);
    });

    it('no confirmation while the server takes the token although its point is gone', async () => {
      const { handle } = await issue();
      await qdrantProvider.revoke(target(), handle, { endSessions: true }, context());
      one.knowsValueExists = false;
      await expect(qdrantProvider.deactivation?.(target(), handle, context())).resolves.toMatchObject({
        confirmed: false,
        detail: expect.stringContaining('still taken') as string,
      });
    });

    it('tokens of both keys of the server, so that its own key can be changed too', async () => {
      const { material } = await issue();
      one.restart({ apiKey: 'the-next-key-of-the-server', altApiKey: API_KEY, jwtRbac: true });
      await qdrantProvider.verify(target(), material, context());
      one.restart({ apiKey: 'the-next-key-of-the-server', jwtRbac: true });
      await expect(qdrantProvider.verify(target(), material, context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
      });
    });

    it('lists of any length', async () => {
      one.pageSize = 3;
      for (let count = 0; count < 10; count++) one.addPoint(`by hand ${count}`);
      const { handle } = await issue();
      expect(await qdrantProvider.list?.(target(), context())).toMatchObject([{ id: handle.id }]);
      const survey = await qdrantProvider.survey?.(target(), context());
      expect(survey?.credentials).toHaveLength(11);
    });

    it('a difference of access between old and new that is named in both directions', async () => {
      const before = await issue();
      const after = await issue({ rules: [{ collection: 'memories', access: 'read-write' }] }, 2);
      await expect(
        qdrantProvider.comparePermissions?.(target(), before.handle, after.handle, context()),
      ).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringContaining('lacks [documents read] and adds [memories read-write]') as string,
      });
    });

    it('access that is to read only where every rule is', () => {
      const accessOf = (rules: object[]) => qdrantProvider.access?.(target({ rules }));
      expect([
        accessOf([{ collection: '*', access: 'read' }]),
        accessOf([
          { collection: 'documents', access: 'read' },
          { collection: 'memories', access: 'read-write' },
        ]),
      ]).toEqual(['read', 'write']);
    });

    it.for<[string, (its: FakeQdrant) => unknown, string]>([
      ['lets in whoever comes', (its) => its.restart({ jwtRbac: true }), 'QDRANT__SERVICE__API_KEY'],
      [
        'takes no tokens',
        (its) => its.restart({ apiKey: API_KEY, jwtRbac: false }),
        'QDRANT__SERVICE__JWT_RBAC=true',
      ],
      ['takes tokens whose point is not there', (its) => (its.knowsValueExists = false), '1.9 or later'],
      [
        'has another key than the administrative secret',
        (its) => its.restart({ apiKey: 'another-key-of-the-server', jwtRbac: true }),
        'api_key of the server',
      ],
      [
        'has no place for the tokens',
        (its) => its.collections.delete('rekey_tokens'),
        'collections/rekey_tokens',
      ],
    ])('a refusal at registration of a server that %s', async ([, spoil, remedy]) => {
      await expect(qdrantProvider.preflight(target(), context())).resolves.toEqual([]);
      spoil(one);
      await expect(qdrantProvider.preflight(target(), context())).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        field: 'target.baseUrl',
        remedy: expect.stringContaining(remedy) as string,
      });
      expect([...one.keys.all]).toEqual([]);
    });
  });
});

describe('the fake of Qdrant', () => {
  it('takes a token for its signature, its time and its point alone', async () => {
    await using one = await FakeQdrant.start({ apiKey: API_KEY });
    const ask = async (token: string) =>
      (await fetch(`${one.server.url}/collections`, { headers: { 'api-key': token } })).status;
    const now = Math.floor(Date.now() / 1000);
    const exp = now + 60;
    const { id } = one.addPoint('a point');
    const valueExists = (value: string, collection = 'rekey_tokens') => ({
      value_exists: { collection, matches: [{ key: 'token', value }] },
    });
    const statuses = {
      good: await ask(FakeQdrant.sign({ exp, access: 'r' }, API_KEY)),
      point: await ask(FakeQdrant.sign({ exp, ...valueExists(id) }, API_KEY)),
      signature: await ask(FakeQdrant.sign({ exp, access: 'r' }, 'another key')),
      expired: await ask(FakeQdrant.sign({ exp: now - 31, access: 'r' }, API_KEY)),
      leeway: await ask(FakeQdrant.sign({ exp: now - 20, access: 'r' }, API_KEY)),
      noPoint: await ask(FakeQdrant.sign({ exp, ...valueExists(randomUUID()) }, API_KEY)),
      noCollection: await ask(FakeQdrant.sign({ exp, ...valueExists(id, 'nowhere') }, API_KEY)),
      unsigned: await ask(FakeQdrant.sign({ exp, access: 'm' }, API_KEY, { alg: 'none' })),
      nothing: await ask('no token'),
    };
    expect(statuses).toEqual({
      good: 200,
      point: 200,
      signature: 403,
      expired: 403,
      leeway: 200,
      noPoint: 401,
      noCollection: 403,
      unsigned: 401,
      nothing: 401,
    });
  });
});

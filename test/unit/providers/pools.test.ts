import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertConfirmed } from '../../../shared/domain/evidence.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { chromaCloudProvider } from '../../../shared/providers/chroma-cloud/provider.ts';
import { cohereProvider } from '../../../shared/providers/cohere/provider.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { FakeChromaCloud } from '../../fakes/chroma-cloud.ts';
import { FakeCohere } from '../../fakes/cohere.ts';
import type { Asked } from '../../fakes/upstream.ts';
import { MemoryClaims } from '../../support/claims.ts';

let tokens = 0;
const newToken = (): string => `00000000-0000-4000-8000-${String(++tokens).padStart(12, '0')}`;
const isCheck = ({ path }: Asked): boolean => path === '/v1/check-api-key';

describe('a pool that only a person fills and empties', () => {
  let fake: FakeCohere;
  let claims: MemoryClaims;
  const baseUrl = () => `${fake.server.url}/v1`;
  const target = (label = 'agents') =>
    cohereProvider.target({ organization: 'org-1', label, baseUrl: baseUrl() });
  const ctx = (credential = 'agents', change: object = {}): IssueContext => ({
    clock: Date.now,
    generation: 1,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    claims: claims.of(credential),
    admin: async () =>
      Promise.resolve(
        new Redacted(JSON.stringify({ baseUrl: baseUrl(), pool: fake.console.pool, ...change })),
      ),
  });
  const issue = async (token = newToken(), credential = 'agents') =>
    cohereProvider.issue(target(credential), token, ctx(credential));
  const at = (place: number) => fake.console.named(fake.console.pool[place]?.id ?? '');

  beforeEach(async () => {
    fake = await FakeCohere.start();
    claims = new MemoryClaims();
    fake.console.fill('org-1', 4);
    return async () => fake[Symbol.asyncDispose]();
  });

  it('is taken from in its order, and the same token has the same key again', async () => {
    const token = newToken();
    const [first, again, second] = [await issue(token), await issue(token), await issue()];
    expect(first.material.reveal().apiKey).toBe(at(0)?.value);
    expect([again.handle, second.material.reveal().apiKey]).toEqual([first.handle, at(1)?.value]);
  });

  it('gives no key to two credentials, whoever is faster, and none to one that was second', async () => {
    const theirs = (fingerprint: string) => ({
      fingerprint,
      credentialId: 'images',
      token: newToken(),
      generation: 1,
      at: '2026-01-01T00:00:00.000Z',
    });
    let times = 0;
    claims.faster = (fingerprint) => (++times <= 2 ? theirs(fingerprint) : undefined);
    expect((await issue()).material.reveal().apiKey).toBe(at(2)?.value);
    claims.faster = undefined;
    expect((await issue(newToken(), 'search')).material.reveal().apiKey).toBe(at(3)?.value);
  });

  it('gives every credential a key of its own however many ask at once', async () => {
    fake.console.fill('org-1', 12);
    const all = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => issue(newToken(), `agent-${index}`)),
    );
    expect(new Set(all.map(({ handle }) => handle.id)).size).toBe(12);
  });

  it('has no use for a key that is dead, in use, or of another organization', async () => {
    fake.console.delete(at(0)?.name ?? '');
    Object.assign(fake.console.pool[1] ?? {}, { inUse: true });
    const other = fake.console.mint('org-2', 'theirs');
    fake.console.pool.unshift({ id: other.name, value: other.value });
    expect((await issue()).material.reveal().apiKey).toBe(at(3)?.value);
  });

  it('never gives what agents use now, even where nobody knows any more that it was taken', async () => {
    const { handle: current } = await issue();
    claims.all.clear();
    const next = await cohereProvider.issue(target(), newToken(), { ...ctx(), current });
    expect(next.material.reveal().apiKey).toBe(at(1)?.value);
  });

  it('adopts what it marks as in use alone: another would be given to the next credential, claimed or released', async () => {
    const [entry] = fake.console.pool;
    const { value: apiKey = '' } = entry ?? {};
    const identify = async () => cohereProvider.adoption?.identify(target(), new Redacted({ apiKey }), ctx());
    await expect(identify()).rejects.toMatchObject({
      code: 'ERR_ADOPTION',
      field: 'admin',
      remedy: expect.stringContaining('"inUse": true'),
    });
    Object.assign(entry ?? {}, { inUse: true });
    const handle = { id: (await identify()) ?? '', generation: 1 };
    const token = newToken();
    await cohereProvider.adoption?.adopt(
      target(),
      token,
      { handle, material: new Redacted({ apiKey }) },
      ctx(),
    );
    await cohereProvider.adoption?.release(target(), token, handle, ctx());
    expect((await issue(newToken(), 'search')).material.reveal().apiKey).toBe(at(1)?.value);
  });

  it('says how to fill it where it is empty, and tells before that it runs low, counting no dead key', async () => {
    expect(await cohereProvider.outlook?.(target(), ctx())).toEqual([]);
    fake.console.delete(at(3)?.name ?? '');
    await issue();
    expect(await cohereProvider.outlook?.(target(), ctx())).toEqual([]);
    await issue(newToken(), 'search');
    const [notice] = (await cohereProvider.outlook?.(target(), ctx())) ?? [];
    expect(notice?.message).toContain('1 free, and 3 needed');
    await issue(newToken(), 'images');
    await expect(issue(newToken(), 'more')).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      field: 'admin',
      remedy: expect.stringContaining('"pool"'),
    });
  });

  it('is refused where a value is there twice or of another form, without a word of it', async () => {
    const [first] = fake.console.pool;
    for (const value of [first?.value ?? '', 'canary-of-a-key\r\nx: y']) {
      const pool = [...fake.console.pool, { id: 'another', value }];
      const error: unknown = await cohereProvider
        .issue(target(), newToken(), ctx('agents', { pool }))
        .catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'admin' });
      expect(JSON.stringify(error)).not.toContain(value.slice(0, 12));
    }
  });

  it('is sent nowhere else than the administrative secret says', async () => {
    const before = fake.server.asked.length;
    const refused = cohereProvider.issue(target(), newToken(), ctx('agents', { baseUrl: undefined }));
    await expect(refused).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'target.baseUrl' });
    expect(fake.server.asked.length).toBe(before);
  });

  describe('ends a key', () => {
    const end = async (handle: { id: string; generation: number }) =>
      cohereProvider.revoke(target(), handle, { endSessions: true }, ctx());

    it('by nobody but a person: says what they delete and where, and believes the upstream alone', async () => {
      const { handle, material } = await issue();
      const asked = await end(handle);
      expect(asked).toMatchObject({ confirmed: false, method: 'negative-authentication' });
      expect(asked.byHand).toContain('delete the key "org-1-1" at https://dashboard.cohere.com/api-keys');
      expect(asked.byHand).not.toContain(material.reveal().apiKey);
      expect(() => assertConfirmed(asked)).toThrow(
        expect.objectContaining({ code: 'ERR_AWAITING_OPERATOR', remedy: asked.byHand }),
      );
      fake.console.delete('org-1-1');
      expect(await end(handle)).toMatchObject({ confirmed: true, method: 'negative-authentication' });
    });

    it('also where the upstream answers that it is not valid', async () => {
      const { handle } = await issue();
      fake.tellsInvalid = true;
      fake.console.delete('org-1-1');
      expect(await end(handle)).toMatchObject({ confirmed: true });
    });

    it.each([
      ['may not do this (403)', { kind: 'reply', status: 403 }],
      ['answers as if all were well', { kind: 'reply', status: 200, body: { valid: true } }],
    ] as const)('takes no key for dead that %s', async (_words, fault) => {
      const { handle } = await issue();
      fake.server.fail(fault, isCheck);
      expect(await end(handle)).toMatchObject({ confirmed: false });
    });

    it.each([429, 500, 404, 302])('calls nothing dead that the upstream answers with %s', async (status) => {
      const { handle } = await issue();
      fake.server.fail({ kind: 'reply', status }, isCheck, 3);
      await expect(end(handle)).rejects.toThrow();
    });

    it('by no refusal of a gateway that refuses every other key as well, and tells what is wanting', async () => {
      const { handle } = await issue();
      fake.console.delete('org-1-1');
      fake.server.fail({ kind: 'reply', status: 401 }, isCheck, 4);
      const asked = await end(handle);
      expect(asked).toMatchObject({ confirmed: false, detail: expect.stringContaining('every other key') });
      expect(asked.byHand).toContain('let the pool have a key that works');
      expect(await cohereProvider.list?.(target(), ctx())).toEqual([]);
      expect(await end(handle)).toMatchObject({ confirmed: true });
    });

    it('by a refusal only while another is taken for what it is: 403 and "not valid" tell nothing', async () => {
      const { handle } = await issue();
      fake.console.delete('org-1-1');
      const refusal = { kind: 'reply', status: 401 } as const;
      const [forbidden, invalid] = [
        { kind: 'reply', status: 403 },
        { kind: 'reply', status: 200, body: { valid: false } },
      ] as const;
      for (const fault of [refusal, forbidden, invalid, forbidden]) fake.server.fail(fault, isCheck);
      expect(await end(handle)).toMatchObject({ confirmed: false });
    });

    it('whose entry was renamed meanwhile, under its new name', async () => {
      const { handle } = await issue();
      Object.assign(fake.console.pool[0] ?? {}, { id: 'renamed' });
      expect((await end(handle)).byHand).toContain('delete the key "renamed"');
      fake.console.delete('org-1-1');
      expect(await end(handle)).toMatchObject({ confirmed: true });
    });

    it('never by the value that another key of that name has', async () => {
      const { handle } = await issue();
      fake.console.delete('org-1-1');
      const [entry] = fake.console.pool;
      if (entry === undefined) throw new Error('the pool is empty');
      // Put there anew under the name of the old one, which is known by its fingerprint.
      entry.value = fake.console.mint('org-1', 'org-1-1').value;
      const asked = await end(handle);
      expect(asked).toMatchObject({ confirmed: false, detail: expect.stringContaining('not in the pool') });
      expect(asked.byHand).toContain('back into the pool');
    });
  });
});

describe('a key of Chroma Cloud', () => {
  let fake: FakeChromaCloud;
  const claims = new MemoryClaims();
  const target = (databases: readonly string[]) =>
    chromaCloudProvider.target({ tenant: 'tenant-1', databases, label: 'agents', baseUrl: fake.server.url });
  const ctx = (): IssueContext => ({
    clock: Date.now,
    generation: 1,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    claims: claims.of('agents'),
    admin: async () =>
      Promise.resolve(new Redacted(JSON.stringify({ baseUrl: fake.server.url, pool: fake.console.pool }))),
  });

  beforeAll(async () => {
    fake = await FakeChromaCloud.start();
    const [wide] = fake.console.fill('tenant-1', 2);
    fake.databases.set(wide?.name ?? '', ['*']);
  });
  afterAll(async () => fake[Symbol.asyncDispose]());

  it('is taken for what is declared only: one that reaches every database is not, unless that is declared', async () => {
    const narrow = await chromaCloudProvider.issue(target(['documents']), newToken(), ctx());
    expect(narrow.handle.id).toMatch(/^tenant-1-2\./);
    const wide = await chromaCloudProvider.issue(target(['*']), newToken(), ctx());
    expect(wide.handle.id).toMatch(/^tenant-1-1\./);
    const compared = chromaCloudProvider.comparePermissions?.(
      target(['*']),
      narrow.handle,
      wide.handle,
      ctx(),
    );
    await expect(compared).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      message: expect.stringContaining('database *'),
    });
  });

  it('has databases declared: there is no default that reaches all', () => {
    const { server } = fake;
    expect(() =>
      chromaCloudProvider.target({ tenant: 'tenant-1', label: 'agents', baseUrl: server.url }),
    ).toThrow(expect.objectContaining({ code: 'ERR_DECLARATION', field: 'target.databases' }));
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANYTHING, Api } from '../../../shared/providers/http/api.ts';
import { assertCloses, isRefused } from '../../../shared/providers/http/negative.ts';
import { UpstreamServer, type Fault } from '../../fakes/upstream.ts';

describe('negative authentication', () => {
  let upstream: UpstreamServer;
  const use = async (headers: Record<string, string> = {}): Promise<unknown> => {
    const reach = { privateHosts: ['127.0.0.1'], timeoutMs: 300 };
    const { url: baseUrl } = upstream;
    const about = { name: 'Parley', page: 'a page', field: 'target.baseUrl', caller: 'agent' } as const;
    return new Api({ ...about, baseUrl, reach, headers }).call({
      method: 'GET',
      path: '/',
      answer: ANYTHING,
    });
  };
  const answer = (status: number, headers = {}): Fault => ({ kind: 'reply', status, body: {}, headers });

  beforeEach(async () => {
    upstream = await UpstreamServer.start(() => ({ status: 200, body: {} }));
  });
  afterEach(async () => upstream[Symbol.asyncDispose]());

  it.for([
    [401, true],
    [403, false],
    [200, false],
  ] as const)('takes %i for a refusal: %s', async ([status, refused]) => {
    upstream.fail(answer(status));
    expect(await isRefused(use)).toBe(refused);
  });

  it.for<[string, Fault]>([
    ['a request that is refused', answer(400)],
    ['what is not there', answer(404)],
    ['a redirect', answer(302, { location: 'https://elsewhere.example' })],
    ['an upstream that is down', answer(503)],
    ['a broken connection', { kind: 'reset' }],
    ['silence', { kind: 'hang' }],
  ])('takes %s for no evidence', async ([, fault]) => {
    upstream.fail(fault);
    await expect(isRefused(use)).rejects.toMatchObject({ name: expect.stringContaining('ERR_') as string });
  });

  it('takes a login that can’t be sent for no evidence', async () => {
    await expect(isRefused(async () => use({ 'api-key': 'two\nlines' }))).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
    expect(upstream.asked).toEqual([]);
  });

  it('refuses a door that is open, with what to do', async () => {
    const refused = { code: 'ERR_REJECTED', field: 'target.baseUrl', remedy: 'lock it' };
    for (const status of [200, 403]) {
      upstream.fail(answer(status));
      await expect(assertCloses('Parley', use, 'lock it')).rejects.toMatchObject(refused);
    }
    upstream.fail(answer(401));
    await assertCloses('Parley', use, 'lock it');
  });
});

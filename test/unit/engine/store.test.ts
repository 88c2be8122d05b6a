import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { store } from '../../../shared/engine/issue.ts';
import type { Loaded } from '../../../shared/engine/state.ts';
import { cohereProvider } from '../../../shared/providers/cohere/provider.ts';
import type { NewClaim } from '../../../shared/providers/provider.ts';
import { FakeCohere } from '../../fakes/cohere.ts';
import { MemoryClaims } from '../../support/claims.ts';

const TOKEN = '00000000-0000-4000-8000-000000000001';

describe('a key of a pool that was stored before its step died', () => {
  let fake: FakeCohere;
  let claims: MemoryClaims;
  /** What the vault has under the token. */
  let stored: Redacted<string> | undefined;

  beforeEach(async () => {
    fake = await FakeCohere.start();
    fake.console.fill('org-1', 3);
    claims = new MemoryClaims();
    stored = undefined;
  });
  afterEach(async () => fake[Symbol.asyncDispose]());

  async function issued(adoption?: string) {
    const baseUrl = `${fake.server.url}/v1`;
    const target = cohereProvider.target({ organization: 'org-1', label: 'agents', baseUrl });
    const seen = claims.of('agents');
    const deps = {
      clock: Date.now,
      reach: { privateHosts: ['127.0.0.1'] },
      providerFor: async () => Promise.resolve(cohereProvider),
      readAdmin: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ baseUrl, pool: fake.console.pool }))),
      ledger: {
        claimOf: async (print: string) => (await seen.of([print]))[0],
        claim: async (claim: NewClaim) => seen.take(claim),
      },
      vault: {
        read: async (_secret: string, { stage }: { stage: string }) =>
          Promise.resolve(stage === 'AWSPENDING' ? stored : new Redacted('co-a-bare-key')),
        put: async (_secret: string, _token: string, text: Redacted<string>) => {
          stored = text;
          return Promise.resolve('stored');
        },
      },
    };
    const state = {
      credential: {
        id: 'agents',
        adminSecret: 'admin',
        target,
        generation: 1,
        policy: {},
        live: [],
        adoption,
      },
      rotation: { id: TOKEN },
    };
    // The step asks for no more of either than stands here.
    return store(deps as unknown as EngineDeps, state as unknown as Loaded, 'secret');
  }

  const printOf = (place: number) => fingerprint(new Redacted(fake.console.pool[place]?.value ?? ''));

  for (const [words, adoption] of [
    ['as Rekey writes it', undefined],
    ['bare, as its owner does', 'adopted'],
  ] as const) {
    it(`${words}, is that key still, though its entry has another name or value by now`, async () => {
      const first = await issued(adoption);
      expect(first.fingerprint).toBe(printOf(0));
      const [entry] = fake.console.pool;
      for (const change of [{ id: 'renamed' }, { value: fake.console.mint('org-1', 'another').value }]) {
        Object.assign(entry ?? {}, change);
        const again = await issued(adoption);
        expect(again.fingerprint).toBe(first.fingerprint);
        expect(again.handle.id.split('.').at(-1)).toBe(first.handle.id.split('.').at(-1));
        expect(again.handle).toMatchObject({ generation: 1, token: TOKEN });
      }
      expect(claims.all.size).toBe(1);
    });
  }

  it('is none of the value that another hand has stored, whatever key that says it is', async () => {
    const { handle } = await issued();
    for (const apiKey of ['co-of-somebody-else', fake.console.pool[1]?.value]) {
      stored = stored?.map((text) =>
        JSON.stringify({ ...(JSON.parse(text) as object), apiKey, apiKeyId: 'org-1-2.000000000000' }),
      );
      await expect(issued()).rejects.toMatchObject({ code: 'ERR_MATERIAL_MISMATCH' });
    }
    expect(handle.id).toMatch(/^org-1-1\./);
  });
});

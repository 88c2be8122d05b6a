import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Api } from '../../../shared/providers/http/api.ts';
import { allPages, listAfter } from '../../../shared/providers/http/listing.ts';

describe('a listing', () => {
  it.each([[null], [undefined], ['']])(
    'that says that there is more and not after what (%j) is none: what it left out would be taken for gone',
    async (lastId) => {
      const page = { data: ['key_1'], has_more: true, last_id: lastId };
      const api: Pick<Api, 'call'> = { call: async ({ answer }) => Promise.resolve(answer.parse(page)) };
      await expect(listAfter(api, '/keys', {}, 'after', z.string())).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
    },
  );

  it('whose pages lead round in a circle has an end', async () => {
    let reads = 0;
    const items = await allPages(async (after) => {
      if (++reads > 10) throw new Error('it goes on');
      return Promise.resolve({ items: [after], next: after === 'a' ? 'b' : 'a' });
    });
    expect(items).toEqual([undefined, 'a', 'b']);
  });
});

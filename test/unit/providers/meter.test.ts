import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { pagesByName } from '../../../shared/providers/http/meter.ts';

/** An upstream that gives these pages one after another. */
function upstreamOf(pages: readonly object[]) {
  let asked = 0;
  return {
    call: async <T>({ answer }: { readonly answer: z.ZodType<T> }): Promise<T> =>
      Promise.resolve(answer.parse(pages[Math.min(asked++, pages.length - 1)])),
  };
}

const read = async (pages: readonly object[]): Promise<number[]> =>
  pagesByName(upstreamOf(pages), '/usage', new URLSearchParams(), z.number());

describe('the pages of a report', () => {
  it('are read to the last one', async () => {
    expect(
      await read([
        { data: [1], has_more: true, next_page: 'b' },
        { data: [2], has_more: false },
      ]),
    ).toEqual([1, 2]);
  });

  it('are not taken for whole where the upstream names one again and says that there is more', async () => {
    await expect(read([{ data: [1], has_more: true, next_page: 'b' }])).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
    });
  });
});

import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import type { Api } from './api.ts';

/** A part of a listing; `next` is what the following one is asked for with, where there is one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | null | undefined;
}

/** All of a listing, page by page. An upstream that names a page again has no more. */
export async function allPages<T>(read: (after: string | undefined) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  const named = new Set<string>();
  for (let after: string | undefined; ;) {
    const { items, next } = await read(after);
    all.push(...items);
    if (!next || named.has(next)) return all;
    named.add(next);
    after = next;
  }
}

/** All of a listing that tells the id of its page's last item, after which the next begins; `cursor` names that parameter. */
export async function listAfter<T>(
  api: Pick<Api, 'call'>,
  path: string,
  query: Readonly<Record<string, string>>,
  cursor: string,
  item: z.ZodType<T>,
): Promise<T[]> {
  const answer = z.object({ data: z.array(item), has_more: z.boolean(), last_id: z.string().nullish() });
  return allPages(async (after) => {
    const asked = new URLSearchParams({ ...query, ...(after === undefined ? {} : { [cursor]: after }) });
    const page = await api.call({ method: 'GET', path: `${path}?${asked.toString()}`, answer });
    if (!page.has_more) return { items: page.data };
    if (page.last_id) return { items: page.data, next: page.last_id };
    // Taken for whole, it would make whatever is on the rest look gone.
    throw new RekeyError('ERR_UNAVAILABLE', `there is more at ${path} than the upstream shows the way to`, {
      remedy: 'it is tried again; if it goes on, look whether the API has changed',
    });
  });
}

/**
 * Looks for something that an upstream shows a moment after it was done, with these waits in milliseconds between the looks;
 * undefined where it doesn't come.
 */
export async function seenSoon<T>(
  waitsMs: readonly number[],
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const waitMs of waitsMs) {
    const found = await look();
    if (found !== undefined) return found;
    await pause(waitMs);
  }
  return undefined;
}

import * as z from 'zod';
import { ANYTHING, type Api } from '../http/api.ts';
import { allPages, trueSoon } from '../http/listing.ts';

/** How Pinecone says that no more of something may be made. */
export const QUOTA = z.object({ error: z.object({ code: z.literal('QUOTA_EXCEEDED') }) });

/** How long Pinecone is asked until it shows a change, look by look, in milliseconds: what lasts longer isn't confirmed. */
export const WAITS_MS: readonly number[] = [50, 200, 500, 1000, 1500];

/** All of a listing, page by page. */
export async function listOf<T>(
  api: Api,
  path: string,
  query: Readonly<Record<string, string>>,
  item: z.ZodType<T>,
): Promise<T[]> {
  const answer = z.object({
    data: z.array(item),
    pagination: z.object({ next: z.string().optional() }).nullish(),
  });
  return allPages(async (after) => {
    const asked = new URLSearchParams({
      ...query,
      ...(after === undefined ? {} : { paginationToken: after }),
    });
    const suffix = asked.size === 0 ? '' : `?${asked.toString()}`;
    const { data, pagination } = await api.call({ method: 'GET', path: `${path}${suffix}`, answer });
    return { items: data, next: pagination?.next };
  });
}

/** Gives what is at a path another name. */
export async function rename(api: Api, path: string, name: string): Promise<void> {
  await api.call({ method: 'PATCH', path, body: { name }, answer: ANYTHING });
}

/** Pinecone takes a deletion and does it a moment later; whoever asks afterwards sees whether it is done. */
export async function remove(api: Api, path: string, isGone: () => Promise<boolean>): Promise<void> {
  await api.find({ method: 'DELETE', path, answer: ANYTHING });
  await trueSoon(WAITS_MS, isGone);
}

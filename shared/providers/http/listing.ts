import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import type { Api } from './api.ts';
import type { UpstreamKey } from './keys.ts';

/** A part of a listing; `next` is what the following one is asked for with, where there is one. */
export interface Page<T, C = string> {
  readonly items: readonly T[];
  readonly next?: C | null | undefined;
}

/** All of a listing, page by page. An upstream that names a page again has no more. */
export async function allPages<T, C = string>(
  read: (after: C | undefined) => Promise<Page<T, C>>,
): Promise<T[]> {
  const all: T[] = [];
  const named = new Set<C>();
  for (let after: C | undefined; ;) {
    const { items, next } = await read(after);
    all.push(...items);
    if (next == null || next === '' || named.has(next)) return all;
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

/** The same of something that is so or not. */
export async function trueSoon(waitsMs: readonly number[], look: () => Promise<boolean>): Promise<boolean> {
  return (await seenSoon(waitsMs, async () => (await look()) || undefined)) ?? false;
}

/** A new key as its upstream lists it, and those that attempts before have made under the same mark. */
export interface Listed {
  readonly key: UpstreamKey;
  /** Their answers were lost, and they weren't listed yet when this attempt began. */
  readonly earlier: readonly UpstreamKey[];
}

/**
 * Looks for a new key in a listing that is behind; undefined where it doesn't come. Of two attempts under one token the later
 * one stays.
 */
export async function listedSoon(
  waitsMs: readonly number[],
  list: () => Promise<readonly UpstreamKey[]>,
  { id, name }: Pick<UpstreamKey, 'id' | 'name'>,
): Promise<Listed | undefined> {
  return seenSoon(waitsMs, async () => {
    const keys = await list();
    const key = keys.find((each) => each.id === id);
    return key && { key, earlier: keys.filter((each) => each.name === name && orderOf(each) < orderOf(key)) };
  });
}

function orderOf({ createdAt = '', id }: UpstreamKey): string {
  return `${createdAt} ${id}`;
}

import * as z from 'zod';
import { fromInstant, toInstant, type Instant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Interval } from '../../domain/forensics/facts.ts';
import { common } from '../../domain/forensics/intervals.ts';
import type { MeteredUse } from '../../domain/metering.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import type { Api } from './api.ts';
import { allPages } from './listing.ts';

const MINUTE_MS = 60_000;

/** Asks for the counts of some keys in a time of whole minutes. */
export type ReadCounts<T> = (
  target: T,
  keyIds: readonly string[],
  span: Interval,
  ctx: ProviderContext,
) => Promise<readonly MeteredUse[]>;

/** The contract's `meter` of an upstream that counts by the minute, and has counted all of it so many seconds later. */
export function meterOf<T>(
  lagSeconds: number,
  whoOf: (target: T) => string,
  read: ReadCounts<T>,
): NonNullable<CredentialProvider<T, never>['meter']> {
  return async (target, keyIds, span, ctx) => {
    // Counted before it is asked: whatever happens while it answers may be missing.
    const counted = toInstant(minute(ctx.clock() - lagSeconds * 1000));
    const whole = wholeMinutes(span);
    const asked = new Set(keyIds);
    const uses = keyIds.length === 0 ? [] : await read(target, keyIds, whole, ctx);
    const covered = common(whole, { from: whole.from, to: counted });
    return {
      who: whoOf(target),
      uses: uses.filter(({ keyId, requests }) => asked.has(keyId) && requests !== 0),
      covers: covered === undefined ? [] : [covered],
    };
  };
}

/** A span with the whole minutes at both its ends. */
function wholeMinutes({ from, to }: Interval): Interval {
  return {
    from: toInstant(minute(fromInstant(from))),
    to: toInstant(minute(fromInstant(to) + MINUTE_MS - 1)),
  };
}

function minute(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}

/** All of a listing that names its next page in the answer. */
export async function pagesByName<T>(
  api: Pick<Api, 'call'>,
  path: string,
  query: URLSearchParams,
  item: z.ZodType<T>,
  headers: Readonly<Record<string, string>> = {},
): Promise<T[]> {
  const answer = z.object({ data: z.array(item), has_more: z.boolean(), next_page: z.string().nullish() });
  const named = new Set<string>();
  return allPages(async (page) => {
    const asked = new URLSearchParams([...query, ...each('page', page === undefined ? [] : [page])]);
    const found = await api.call({ method: 'GET', path: `${path}?${asked.toString()}`, headers, answer });
    if (!found.has_more) return { items: found.data };
    if (found.next_page && !named.has(found.next_page)) {
      named.add(found.next_page);
      return { items: found.data, next: found.next_page };
    }
    // Taken for whole, uses on the rest would be covered and missing.
    throw new RekeyError('ERR_UNAVAILABLE', `there is more at ${path} than the upstream shows the way to`, {
      remedy: 'it is tried again; if it goes on, look whether the API has changed',
    });
  });
}

/** A parameter of a query once for each value. */
export function each(name: string, values: readonly string[]): [string, string][] {
  return values.map((value) => [name, value]);
}

/** An instant as answers write it. */
export const instantText: z.ZodType<Instant> = z.iso
  .datetime({ offset: true })
  .transform((text) => toInstant(Date.parse(text)));

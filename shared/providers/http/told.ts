import * as z from 'zod';
import type { Api } from './api.ts';

const NAMED = z.object({ id: z.string(), name: z.string().nullish() });

/** What is at a path, where this login may see it and the upstream answers: for facts that are told and never needed. */
export async function told<T>(api: Api, path: string, answer: z.ZodType<T>): Promise<T | undefined> {
  try {
    return await api.call({ method: 'GET', path, answer });
  } catch {
    return undefined;
  }
}

/** The same of something that has an id and a name, in words. */
export async function toldName(api: Api, path: string): Promise<string | undefined> {
  const of = await told(api, path, NAMED);
  return of?.name ? `${of.id} (${of.name})` : of?.id;
}

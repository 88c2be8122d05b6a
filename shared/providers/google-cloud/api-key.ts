import * as z from 'zod';
import type { Place } from '../../domain/place.ts';
import type { Api } from '../http/api.ts';
import type { UpstreamKey } from '../http/keys.ts';
import { allPages } from '../http/listing.ts';
import type { KeyTarget } from '../http/target.ts';
import { lastPart } from './account.ts';

/** Whose API keys, and what they may do. */
export interface ApiKeyTarget extends KeyTarget {
  readonly project: string;
  /** As whom a key acts. */
  readonly serviceAccount: string;
  /** APIs that a key may call. One without any could call them all. */
  readonly services: readonly string[];
}

/** The annotation with the mark, which is longer than a display name may be. */
export const MARK = 'rekey';

const apiTarget = z.object({ service: z.string(), methods: z.array(z.string()).default([]) });

const keySchema = z.object({
  name: z.string().regex(/\/keys\/[^/]+$/),
  annotations: z.record(z.string(), z.string()).default({}),
  serviceAccountEmail: z.string().default('nobody'),
  /** Beside `apiTargets`, for browsers, servers, Android and iOS. */
  restrictions: z.looseObject({ apiTargets: z.array(apiTarget).default([]) }).default({ apiTargets: [] }),
  deleteTime: z.string().optional(),
});

/** A key as the API Keys API shows it, without its value. */
export type ApiKey = z.infer<typeof keySchema>;

/** All keys of the project that aren't deleted. */
export async function list(api: Api, target: ApiKeyTarget): Promise<UpstreamKey[]> {
  const answer = z.object({ keys: z.array(keySchema).default([]), nextPageToken: z.string().default('') });
  const keys = await allPages(async (after) => {
    const query = new URLSearchParams({
      pageSize: '300',
      ...(after === undefined ? {} : { pageToken: after }),
    });
    const page = await api.call({ method: 'GET', path: `${keysOf(target)}?${query.toString()}`, answer });
    return { items: page.keys, next: page.nextPageToken };
  });
  return keys.filter(isLive).map(shown);
}

/** A key, deleted or not: Google keeps a deleted one for 30 days. */
export async function look(api: Api, target: ApiKeyTarget, id: string): Promise<ApiKey | undefined> {
  return api.find({ method: 'GET', path: pathOf(target, id), answer: keySchema });
}

/** The id of the key that has a value. */
export async function idOf(api: Api, value: string): Promise<string | undefined> {
  const path = `/v2/keys:lookupKey?${new URLSearchParams({ keyString: value }).toString()}`;
  const found = await api.find({ method: 'GET', path, answer: z.object({ name: z.string().default('') }) });
  return found === undefined ? undefined : lastPart(found.name) || undefined;
}

/** A key that isn't deleted. */
export async function find(api: Api, target: ApiKeyTarget, id: string): Promise<UpstreamKey | undefined> {
  const key = await look(api, target, id);
  return key === undefined || !isLive(key) ? undefined : shown(key);
}

/** Whether it isn't deleted. */
export function isLive({ deleteTime }: ApiKey): boolean {
  return deleteTime === undefined;
}

/** A key as every upstream's is shown. */
export function shown({ name, annotations, serviceAccountEmail, restrictions }: ApiKey): UpstreamKey {
  const id = lastPart(name);
  const { apiTargets, ...others } = restrictions;
  const services = apiTargets.map(({ service, methods }) => [service.toLowerCase(), ...methods].join(' '));
  return {
    id,
    name: annotations[MARK] ?? '',
    active: true,
    scope: scopeOf(serviceAccountEmail, [
      ...services,
      ...Object.entries(others).map((each) => JSON.stringify(each)),
    ]),
  };
}

/** Where a key may be used from. `name` has the project's number, which is told by nobody else. */
export function placeOf(key: ApiKey | undefined, { project }: ApiKeyTarget): Place {
  if (key === undefined) return {};
  const { apiTargets: _services, ...from } = key.restrictions;
  const [, number = project] = key.name.split('/');
  return {
    project: `${project} (${number})`,
    allowlist: Object.values(from).flatMap((each) => listedIn(each)),
  };
}

/** The addresses, sites or apps in a restriction, whichever sort it is of. */
function listedIn(restriction: unknown): string[] {
  const entries = Object.values(Object(restriction) as Record<string, unknown>).flat();
  return entries.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)));
}

/** What a key of a service account may do with these restrictions. */
export function scopeOf(account: string, restrictions: readonly string[]): string[] {
  const all = restrictions.length === 0 ? ['everything'] : restrictions;
  return [`as ${account}`, ...all].sort();
}

/** Path of a project's keys. */
export function keysOf({ project }: ApiKeyTarget): string {
  return `/v2/projects/${encodeURIComponent(project)}/locations/global/keys`;
}

/** Path of a key. */
export function pathOf(target: ApiKeyTarget, id: string): string {
  return `${keysOf(target)}/${encodeURIComponent(id)}`;
}

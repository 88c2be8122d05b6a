import * as z from 'zod';
import type { AdminLogin } from '../http/admin-side.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import type { KeyTarget } from '../http/target.ts';
import { appFields, asApp, LOGIN, tenantField } from './login.ts';

/** Where a resource of Azure is. */
export interface ResourceTarget extends KeyTarget {
  readonly tenantId: string;
  readonly subscription: string;
  readonly resourceGroup: string;
}

/** The fields of a target that is a resource of Azure, beside its own name. */
export const resourceFields = {
  tenantId: tenantField,
  subscription: z.guid('must be the id of the subscription, a UUID').toLowerCase(),
  resourceGroup: z
    .string()
    .regex(/^[\w.()-]{1,89}[\w()-]$/, 'must be the name of a resource group')
    .toLowerCase(),
};

const admin = z.object({
  ...appFields,
  loginUrl: z.string().min(1).default(LOGIN),
  adminUrl: z.string().min(1).default('https://management.azure.com'),
});

/** The administrative secret: an app that may administer the resource, and the addresses of its cloud. */
export type ResourceLogin = z.infer<typeof admin>;

/** Rekey's own login at Azure Resource Manager. */
export const resourceManager = {
  admin,
  adminUrl: ({ adminUrl }) => adminUrl,
  adminHeaders: async (app, target, open) =>
    asApp(open(app.loginUrl, 'admin.loginUrl'), app, target, app.adminUrl),
} satisfies Omit<AdminLogin<ResourceTarget, ResourceLogin>, 'name'>;

const TAGS_API = 'api-version=2021-04-01';

/** Path of a resource; `type` as Azure writes it, e.g. `Microsoft.CognitiveServices/accounts`. */
export function resourcePath(
  { subscription, resourceGroup }: ResourceTarget,
  type: string,
  name: string,
): string {
  const group = `/subscriptions/${encodeURIComponent(subscription)}/resourceGroups/${encodeURIComponent(resourceGroup)}`;
  return `${group}/providers/${type}/${encodeURIComponent(name)}`;
}

/** The tags of a resource, by its path. */
export async function tagsOf(api: Api, resource: string): Promise<Record<string, string>> {
  const answer = z.object({ properties: z.object({ tags: z.record(z.string(), z.string()).default({}) }) });
  return (await api.call({ method: 'GET', path: tagsPath(resource), answer })).properties.tags;
}

/** Gives a resource tags beside those that it has. */
export async function tag(api: Api, resource: string, tags: Readonly<Record<string, string>>): Promise<void> {
  const body = { operation: 'Merge', properties: { tags } };
  await api.call({ method: 'PATCH', path: tagsPath(resource), body, answer: ANYTHING });
}

function tagsPath(resource: string): string {
  return `${resource}/providers/Microsoft.Resources/tags/default?${TAGS_API}`;
}

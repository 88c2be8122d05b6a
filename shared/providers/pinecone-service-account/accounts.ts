import * as z from 'zod';
import { ANYTHING, type Api } from '../http/api.ts';
import { allPages, seenSoon } from '../http/listing.ts';
import { isSameScope, type Scope } from '../http/scope.ts';

/** Where service accounts are administered. */
export const ACCOUNTS = '/admin/service-accounts';

/** What a service account may do, in words: a role of the organization, or `ROLE@PROJECT`. */
export const ROLE =
  /^(Org(Owner|Manager|Member|BillingAdmin)|(Project(Owner|Manager|Member|Editor|Viewer)|(Control|Data)Plane(Editor|Viewer))@[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** How long Pinecone is asked until it shows roles or a deletion, look by look, in milliseconds. */
const WAITS_MS = [50, 200, 500, 1000, 1500];

const account = z.object({
  id: z.string().min(1),
  name: z.string(),
  client_id: z.string().min(1),
  created_at: z.iso.datetime({ offset: true }),
});
type Account = z.infer<typeof account>;

const binding = z.object({
  principal_id: z.string(),
  resource_type: z.enum(['organization', 'project']),
  resource_id: z.string(),
  role: z.string(),
});

/** All service accounts of the organization, with what each may do: Pinecone keeps the two apart. */
export async function accountsWithRoles(api: Api): Promise<(Account & { roles: Scope })[]> {
  const accounts = await all(api, ACCOUNTS, {}, account);
  const bindings = await all(api, '/admin/role-bindings', { principal_type: 'service_account' }, binding);
  return accounts.map((each) => ({ ...each, roles: rolesIn(bindings, each.id) }));
}

/** Makes one with these roles. What it shows of them a moment later is what it may do. */
export async function makeAccount(
  api: Api,
  name: string,
  roles: Scope,
): Promise<{ clientId: string; clientSecret: string; roles: Scope }> {
  const { service_account: made, client_secret: clientSecret } = await api.call({
    method: 'POST',
    path: ACCOUNTS,
    body: { name, role_bindings: roles.map(bindingOf) },
    answer: z.object({ service_account: account, client_secret: z.string().min(1) }),
    full: z.object({ error: z.object({ code: z.literal('QUOTA_EXCEEDED') }) }),
  });
  const query = { principal_type: 'service_account', principal_id: made.id };
  let shown: Scope = [];
  await seenSoon(WAITS_MS, async () => {
    shown = rolesIn(await all(api, '/admin/role-bindings', query, binding), made.id);
    return isSameScope(shown, roles) || undefined;
  });
  return { clientId: made.client_id, clientSecret, roles: shown };
}

/** Gives one another name; one that is gone is left alone. */
export async function renameAccount(api: Api, clientId: string, name: string): Promise<void> {
  const id = await idOf(api, clientId);
  if (id === undefined) return;
  await api.call({ method: 'PATCH', path: pathOf(id), body: { name }, answer: ANYTHING });
}

/** Pinecone takes a deletion and does it a moment later; whoever asks afterwards sees whether it is done. */
export async function deleteAccount(api: Api, clientId: string): Promise<void> {
  const id = await idOf(api, clientId);
  if (id === undefined) return;
  await api.find({ method: 'DELETE', path: pathOf(id), answer: ANYTHING });
  await seenSoon(WAITS_MS, async () => (await idOf(api, clientId)) === undefined || undefined);
}

/** Paths have another id than logins. */
async function idOf(api: Api, clientId: string): Promise<string | undefined> {
  return (await all(api, ACCOUNTS, {}, account)).find((each) => each.client_id === clientId)?.id;
}

function pathOf(id: string): string {
  return `${ACCOUNTS}/${encodeURIComponent(id)}`;
}

function bindingOf(role: string): object {
  const [name, project] = role.split('@');
  return project === undefined
    ? { resource_type: 'organization', role: name }
    : { resource_type: 'project', resource_id: project, role: name };
}

function rolesIn(bindings: readonly z.infer<typeof binding>[], id: string): Scope {
  return bindings
    .filter((each) => each.principal_id === id)
    .map(({ resource_type: of, resource_id: project, role }) =>
      of === 'organization' ? role : `${role}@${project}`,
    );
}

async function all<T>(
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

import * as z from 'zod';
import { toInstant } from '../../domain/clock.ts';
import type { Api } from '../http/api.ts';
import type { NewKey, UpstreamKey } from '../http/keys.ts';
import { seenSoon } from '../http/listing.ts';
import { isSameScope, type Scope } from '../http/scope.ts';
import { listOf, QUOTA, remove, rename, WAITS_MS } from '../pinecone-admin/objects.ts';
import { bindingOf, rolesOf } from '../pinecone-admin/roles.ts';

/** Where service accounts are administered. */
export const ACCOUNTS = '/admin/service-accounts';

const account = z.object({
  id: z.string().min(1),
  name: z.string(),
  client_id: z.string().min(1),
  created_at: z.iso.datetime({ offset: true }),
});

/** All service accounts of the organization, by what they log in as, with what each may do. */
export async function listAccounts(api: Api): Promise<UpstreamKey[]> {
  const accounts = await listOf(api, ACCOUNTS, {}, account);
  const roles = await rolesOf(api);
  return accounts.map(({ id, client_id: clientId, name, created_at: made }) => {
    const createdAt = toInstant(Date.parse(made));
    return { id: clientId, name, active: true, scope: roles(id), createdAt };
  });
}

/** Makes one with these roles. What it shows of them a moment later is what it may do. */
export async function makeAccount(api: Api, name: string, roles: Scope): Promise<NewKey & { scope: Scope }> {
  const { service_account: made, client_secret: value } = await api.call({
    method: 'POST',
    path: ACCOUNTS,
    body: { name, role_bindings: roles.map(bindingOf) },
    answer: z.object({ service_account: account, client_secret: z.string().min(1) }),
    full: QUOTA,
  });
  let scope: Scope = [];
  await seenSoon(WAITS_MS, async () => {
    scope = (await rolesOf(api, made.id))(made.id);
    return isSameScope(scope, roles) || undefined;
  });
  return { id: made.client_id, value, scope };
}

/** Gives one another name; one that is gone is left alone. */
export async function renameAccount(api: Api, clientId: string, name: string): Promise<void> {
  const path = await pathOf(api, clientId);
  if (path !== undefined) await rename(api, path, name);
}

/** Ends one; one that is gone is success. */
export async function deleteAccount(api: Api, clientId: string): Promise<void> {
  const path = await pathOf(api, clientId);
  if (path !== undefined) await remove(api, path, async () => (await pathOf(api, clientId)) === undefined);
}

/** Paths have another id than logins. */
async function pathOf(api: Api, clientId: string): Promise<string | undefined> {
  const found = (await listOf(api, ACCOUNTS, {}, account)).find((each) => each.client_id === clientId);
  return found && `${ACCOUNTS}/${encodeURIComponent(found.id)}`;
}
